using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace DiCacheNative.Fuzz;

/// <summary>Changes to valid inputs, from those that respect their structure to mere damage.</summary>
internal static class Mutation
{
    // What a JSON library does not write: put in place of marks after it has written the rest.
    private static readonly string[] s_raw =
    [
        "\"\\ud800\"", "\"a\\udc00b\"", "\"\\u0000\"", "1e999", "-1e999", "-0", "1.0", "1E2", "0.5e-400", "01", "NaN", "Infinity", "'a'", "",
            "{\"\\ud800\":1}", "[[[[[[[[[[]]]]]]]]]]",
        "{\"a\":1,\"a\":2}", "null", "true", "tru", "123456789012345678901234567890", "9223372036854775808", "18446744073709551616", "2147483648",
        "-2147483649", "/**/1", "[1,]",
    ];

    private static readonly double[] s_numbers =
    [
        -1, 0, 1, 2, 3, 4, 5, 7, 8, 12, 16, 32, 64, 100, 127, 128, 255, 256, 257, 1000, 4095, 4096, 4097, 16384, 65535, 65536, 65537, 1 << 20, 1 << 24,
            1 << 30, int.MaxValue - 1,
        int.MaxValue, int.MinValue, 4294967295, 4294967296, 9007199254740992, 9.2e18, 1e30, 1e300, 1.7e308, -1e308, 0.5, 1.5, 1e-6, 1e-300, -0.25, 3.14159,
    ];

    private static readonly string[] s_strings =
    [
        "", "a", " ", "\n", "none", "null", "true", "1", "\uFEFF", "\u00e4\u4e16\U0001F600", "../../etc/passwd", "/dev/zero", "x.safetensors", "%s%n",
            "\u001b[31m",
    ];

    /// <summary>A number of the kind that breaks things.</summary>
    public static double Number(Random random) => random.Next(3) == 0 ? random.Next(-3, 70) : s_numbers[random.Next(s_numbers.Length)];

    /// <summary>A text of the kind that breaks things.</summary>
    public static string Text(Random random) => random.Next(40) == 0 ? new string((char)random.Next('a', 'z'), random.Next(1, 20_000))
        : s_strings[random.Next(s_strings.Length)];

    /// <summary>A valid JSON text with a few values, names and places changed; now and then damaged in its bytes.</summary>
    public static byte[] Json(Random random, string template)
    {
        JsonNode root = JsonNode.Parse(template)!;
        List<string> raw = [];
        for (int changes = random.Next(8) == 0 ? 0 : random.Next(1, 4); changes > 0; changes--)
        {
            Change(random, Slots(root), raw);
        }

        string text = root.ToJsonString();
        for (int i = 0; i < raw.Count; i++)
        {
            text = text.Replace($"\"@RAW{i}@\"", raw[i], StringComparison.Ordinal);
        }

        byte[] bytes = Encoding.UTF8.GetBytes(text);
        return random.Next(6) == 0 ? Damage(random, bytes) : random.Next(30) == 0 ? [0xEF, 0xBB, 0xBF, .. bytes] : bytes;
    }

    /// <summary>Bytes with a few of them changed, taken out, put in or cut off.</summary>
    public static byte[] Damage(Random random, byte[] bytes)
    {
        List<byte> result = [.. bytes];
        for (int changes = random.Next(1, 5); changes > 0 && result.Count > 0; changes--)
        {
            int at = random.Next(4) == 0 ? random.Next(Math.Min(64, result.Count)) : random.Next(result.Count);
            int count = Math.Min(random.Next(1, 9), result.Count - at);
            switch (random.Next(8))
            {
                case 0:
                    result[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    result[at] = (byte)random.Next(256);
                    break;
                case 2:
                    result[at] = random.Next(2) == 0 ? (byte)0 : (byte)255;
                    break;
                case 3:
                    result.RemoveRange(at, count);
                    break;
                case 4:
                    result.InsertRange(at, result.GetRange(random.Next(result.Count - count + 1), count));
                    break;
                case 5:
                    result.RemoveRange(at, result.Count - at);
                    break;
                case 6:
                    result.InsertRange(at, Encoding.UTF8.GetBytes(s_raw[random.Next(s_raw.Length)]));
                    break;
                default:
                    for (int i = 0; i < Math.Min(count, 4); i++)
                    {
                        result[at + i] = random.Next(2) == 0 ? (byte)0x7F : (byte)0xFF;
                    }

                    break;
            }
        }

        return [.. result];
    }

    private static List<(JsonNode Parent, object Key)> Slots(JsonNode root)
    {
        List<(JsonNode, object)> slots = [];
        Stack<JsonNode> open = new([root]);
        while (open.TryPop(out JsonNode? node))
        {
            IEnumerable<(object Key, JsonNode? Value)> members = node switch
            {
                JsonObject o => o.Select(p => ((object)p.Key, p.Value)),
                JsonArray a => a.Select((v, i) => ((object)i, v)),
                _ => [],
            };
            foreach ((object key, JsonNode? value) in members)
            {
                slots.Add((node, key));
                if (value is JsonObject or JsonArray)
                {
                    open.Push(value);
                }
            }
        }

        return slots;
    }

    private static void Change(Random random, List<(JsonNode Parent, object Key)> slots, List<string> raw)
    {
        if (slots.Count == 0)
        {
            return;
        }

        (JsonNode parent, object key) = slots[random.Next(slots.Count)];
        JsonNode? old = parent is JsonObject o ? o[(string)key] : ((JsonArray)parent)[(int)key];
        switch (random.Next(10))
        {
            case 0 when parent is JsonObject container:
                container.Remove((string)key);
                return;
            case 0:
                ((JsonArray)parent).RemoveAt((int)key);
                return;
            case 1 when parent is JsonObject container:
                container.Remove((string)key);
                container[random.Next(2) == 0 ? Text(random) : key + "x"] = old;
                return;
            case 1:
                ((JsonArray)parent).Insert((int)key, old?.DeepClone());
                return;
            default:
                JsonNode? value = Value(random, old, slots, raw);
                if (parent is JsonObject target)
                {
                    target[(string)key] = value;
                }
                else
                {
                    ((JsonArray)parent)[(int)key] = value;
                }

                return;
        }
    }

    private static JsonNode? Value(Random random, JsonNode? old, List<(JsonNode Parent, object Key)> slots, List<string> raw)
    {
        switch (random.Next(12))
        {
            case 0:
                raw.Add(s_raw[random.Next(s_raw.Length)]);
                return $"@RAW{raw.Count - 1}@";
            case 1:
                return Text(random);
            case 2:
                return null;
            case 3:
                return random.Next(2) == 0;
            case 4:
                return new JsonArray([.. Enumerable.Range(0, random.Next(5)).Select(_ => (JsonNode)Number(random))]);
            case 5:
                return old is null ? new JsonObject() : new JsonArray(old.DeepClone(), old.DeepClone());
            case 6:
                (JsonNode parent, object key) = slots[random.Next(slots.Count)];
                return (parent is JsonObject o ? o[key as string ?? ""] : key is int i && i < ((JsonArray)parent).Count ? ((JsonArray)parent)[i]
                    : null)?.DeepClone();
            default:
                double number = Number(random);
                return old?.GetValueKind() == JsonValueKind.String && random.Next(2) == 0 ? Text(random)
                    : Math.Abs(number) < 1e15 && number == Math.Floor(number) ? (JsonNode)(long)number : number;
        }
    }
}
