using System.Text;

namespace DiCacheNative.Text;

/// <summary>
/// Cuts text into words, numbers and punctuation as GPT-2 does and writes each as its UTF-8 bytes, one printable character per byte
/// (tokenizers' ByteLevel).
/// </summary>
internal sealed class ByteLevelPreTokenizer(bool addPrefixSpace, bool useRegex) : IPreTokenizer
{
    private static readonly TextPattern Words =
        new(@"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+");

    private static readonly char[] Printable = MapBytes();

    public void Split(Piece piece, List<Piece> into, TextBudget budget)
    {
        string text = addPrefixSpace && piece.Text[0] != ' ' ? ' ' + piece.Text : piece.Text;
        if (!useRegex)
        {
            into.Add(piece with { Text = ToPrintable(text) });
            return;
        }

        foreach ((int start, int end) in Words.Split(text, budget, SplitBehavior.Isolated))
        {
            into.Add(new Piece(ToPrintable(text[start..end]), piece.AtStart && start == 0));
        }
    }

    private static string ToPrintable(string text) =>
        string.Create(Encoding.UTF8.GetByteCount(text), text, static (characters, source) =>
        {
            byte[] bytes = Encoding.UTF8.GetBytes(source);
            for (int i = 0; i < characters.Length; i++)
            {
                characters[i] = Printable[bytes[i]];
            }
        });

    // Bytes that are visible in Latin-1 stand for themselves; the others are numbered from U+0100.
    private static char[] MapBytes()
    {
        char[] map = new char[256];
        char next = (char)256;
        for (int b = 0; b < 256; b++)
        {
            map[b] = b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or >= 0xAE ? (char)b : next++;
        }

        return map;
    }
}
