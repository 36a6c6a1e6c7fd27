using System.Text;
using DiCacheNative.Text;

namespace DiCacheNative.Tests.Text;

public class UnicodeNormalizationTests
{
    // Known answers of Unicode Standard Annex 15: an ordering of marks, a singleton, an excluded composition, a syllable.
    [Theory]
    [InlineData("\u1E9B\u0323", "\u1E9B\u0323", "\u017F\u0323\u0307", "\u1E69", "s\u0323\u0307")]
    [InlineData("q\u0307\u0323", "q\u0323\u0307", "q\u0323\u0307", "q\u0323\u0307", "q\u0323\u0307")]
    [InlineData("\u212B", "\u00C5", "A\u030A", "\u00C5", "A\u030A")]
    [InlineData("\u0958", "\u0915\u093C", "\u0915\u093C", "\u0915\u093C", "\u0915\u093C")]
    [InlineData("\uAC01", "\uAC01", "\u1100\u1161\u11A8", "\uAC01", "\u1100\u1161\u11A8")]
    [InlineData("\uFB01", "\uFB01", "\uFB01", "fi", "fi")]
    [InlineData("plain", "plain", "plain", "plain", "plain")]
    public void Known_texts_take_their_four_forms(string text, string nfc, string nfd, string nfkc, string nfkd)
    {
        Assert.Equal(nfc, UnicodeNormalization.Normalize(text, NormalForm.Nfc));
        Assert.Equal(nfd, UnicodeNormalization.Normalize(text, NormalForm.Nfd));
        Assert.Equal(nfkc, UnicodeNormalization.Normalize(text, NormalForm.Nfkc));
        Assert.Equal(nfkd, UnicodeNormalization.Normalize(text, NormalForm.Nfkd));
    }

    // CRC-32 of the UTF-8 forms of all code points, a line each, as CPython 3.13's unicodedata (Unicode 15.1) gives them.
    [Theory]
    [InlineData("Nfc", 0x351812CB)]
    [InlineData("Nfd", 0xD73D6DFA)]
    [InlineData("Nfkc", 0xF49640C1)]
    [InlineData("Nfkd", 0x4083E722)]
    public void Every_code_point_takes_its_form(string form, uint expected)
    {
        uint crc = 0;
        for (int point = 0; point <= 0x10FFFF; point++)
        {
            if (Rune.TryCreate(point, out Rune rune))
            {
                string normalized = UnicodeNormalization.Normalize(rune.ToString(), Enum.Parse<NormalForm>(form));
                crc = Crc32.Append(crc, Encoding.UTF8.GetBytes(normalized + "\n"));
            }
        }

        Assert.Equal(expected, crc);
    }

    [Fact]
    public void Composing_what_was_decomposed_gives_the_composed_form()
    {
        var random = new Random(1);
        int[] marks = [0x300, 0x301, 0x304, 0x308, 0x323, 0x327, 0x328, 0x345];
        int[] letters = ['a', 'e', 'o', 'u', 'A', 'O', 0xE4, 0x1F00, 0x1100, 0x1161, 0x11A8, 0xAC00];
        for (int i = 0; i < 2000; i++)
        {
            string text = string.Concat(Enumerable.Range(0, 8).Select(_ =>
                char.ConvertFromUtf32(random.Next(3) == 0 ? letters[random.Next(letters.Length)] : marks[random.Next(marks.Length)])));

            string composed = UnicodeNormalization.Normalize(text, NormalForm.Nfc);
            string decomposed = UnicodeNormalization.Normalize(text, NormalForm.Nfd);

            Assert.Equal(composed, UnicodeNormalization.Normalize(decomposed, NormalForm.Nfc));
            Assert.Equal(decomposed, UnicodeNormalization.Normalize(composed, NormalForm.Nfd));
            Assert.Equal(composed, UnicodeNormalization.Normalize(composed, NormalForm.Nfc));
        }
    }
}
