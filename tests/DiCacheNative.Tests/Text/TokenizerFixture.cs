using System.Text;
using System.Text.Json;
using DiCacheNative.Text;

namespace DiCacheNative.Tests.Text;

/// <summary>Loads a tokenizer from texts instead of files.</summary>
internal static class TokenizerFixture
{
    /// <summary>Loads a folder with these files.</summary>
    public static Tokenizer Load(params (string Name, string Content)[] files)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("tokenizer-");
        try
        {
            foreach ((string name, string content) in files)
            {
                File.WriteAllText(Path.Combine(folder.FullName, name), content);
            }

            return Tokenizer.Load(folder.FullName);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>
    /// A tokenizer.json around a Unigram model: &lt;pad&gt; 0, &lt;/s&gt; 1 and &lt;unk&gt; 2 are added tokens, the given pieces follow from 3.
    /// </summary>
    public static Tokenizer Unigram(string normalizer, string preTokenizer, (string Piece, double Score)[] pieces, string extra = "")
    {
        string vocabulary = string.Concat(pieces.Select(p => FormattableString.Invariant($", [{JsonSerializer.Serialize(p.Piece)}, {p.Score}]")));
        return Load(("tokenizer.json", $$"""
            {
              "added_tokens": [{"id": 0, "content": "<pad>", "special": true}, {"id": 1, "content": "</s>", "special": true},
                               {"id": 2, "content": "<unk>", "special": true}],
              "normalizer": {{normalizer}}, "pre_tokenizer": {{preTokenizer}},
              "post_processor": {"type": "TemplateProcessing",
                "single": [{"Sequence": {"id": "A", "type_id": 0} }, {"SpecialToken": {"id": "</s>", "type_id": 0} }],
                "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]} } },
              {{extra}}
              "model": {"type": "Unigram", "unk_id": 2, "vocab": [["<pad>", 0], ["</s>", 0], ["<unk>", 0]{{vocabulary}}]}
            }
            """));
    }

    /// <summary>
    /// A SentencePiece character map in base64. Every node of the trie has a block of 256 units to itself; with
    /// <paramref name="wide"/> the blocks lie so that offsets are multiples of 256 and use the wide form.
    /// </summary>
    public static string CharsMap(bool wide, params (string From, string To)[] map)
    {
        using var replacements = new MemoryStream();
        var root = new SortedDictionary<byte, object>();
        foreach ((string from, string to) in map)
        {
            SortedDictionary<byte, object> node = root;
            foreach (byte b in Encoding.UTF8.GetBytes(from))
            {
                node.TryAdd(b, new SortedDictionary<byte, object>());
                node = (SortedDictionary<byte, object>)node[b];
            }

            node[0] = (int)replacements.Position; // no key holds a zero byte
            replacements.Write([.. Encoding.UTF8.GetBytes(to), 0]);
        }

        var units = new List<uint>(new uint[256]);
        Place(root, 0, 0);
        return Convert.ToBase64String([.. BitConverter.GetBytes(units.Count * 4), .. units.SelectMany(BitConverter.GetBytes), .. replacements.ToArray()]);

        void Place(SortedDictionary<byte, object> node, uint position, byte label)
        {
            uint start = (uint)units.Count + (wide ? position & 0xFF : 0);
            units.AddRange(new uint[256]);
            uint offset = start ^ position;
            units[(int)position] = label | (node.ContainsKey(0) ? 0x100u : 0) | (wide ? (offset << 2) | 0x200 : offset << 10);
            foreach ((byte next, object child) in node)
            {
                if (child is int value)
                {
                    units[(int)start] = (uint)value | 0x8000_0000;
                }
                else
                {
                    Place((SortedDictionary<byte, object>)child, start ^ next, next);
                }
            }
        }
    }
}
