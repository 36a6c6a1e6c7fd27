using DiCacheNative.Text.Cleaning;

namespace DiCacheNative.Tests.Text;

public sealed class PromptCleaningTests
{
    // What the documentation of ftfy 6.3 and of Python's html module gives for these texts.
    [Theory]
    [InlineData("  a red\t circle \n\n moves ", "a red circle moves")]
    [InlineData("&lt;3 a &amp;amp; b", "<3 a & b")]
    [InlineData("P&EACUTE;REZ", "PÉREZ")]
    [InlineData("BUNDESSTRA&SZLIG;E", "BUNDESSTRASSE")]
    [InlineData("&ntilde; &Ntilde; &NTILDE; &nTILDE;", "ñ Ñ Ñ &nTILDE;")]
    [InlineData("&amp &lt;b &copy 2020 &notit;", "& <b © 2020 ¬it;")]
    [InlineData("&#128;x &#x41 y &#0; &#x110000;", "€x A y � �")]
    [InlineData("fish & chips &; &#; &#x;", "fish & chips &; &#; &#x;")]
    [InlineData("Broken text&hellip; it&#x2019;s ﬂubberiﬁc!", "Broken text… it's flubberific!")]
    [InlineData("&macr;\\_(ã\u0083\u0084)_/&macr;", "¯\\_(ツ)_/¯")]
    [InlineData("\u001b[36;44mI'm blue\u001b[0m", "I'm blue")]
    [InlineData("\ufeffhello\u0000\u0007", "hello")]
    [InlineData("ＬＯＵＤ　ＮＯＩＳＥＳ", "LOUD NOISES")]
    [InlineData("Ｕﾀｰﾝ", "Uターン")]
    [InlineData("ﬂuﬃeﬆ", "fluffiest")]
    [InlineData("\u201chere\u2019s a test\u201d", "\"here's a test\"")]
    [InlineData("a\r\nb\rc\u2028d", "a b c d")]
    [InlineData("e\u0301tude", "étude")]
    public void Text_is_cleaned_as_documented(string text, string clean) => Assert.Equal(clean, PromptCleaning.Clean(text));

    [Theory]
    [InlineData("âœ” No problems", "✔ No problems")]
    [InlineData("sÃ³", "só")]
    [InlineData("The Mona Lisa doesnÃƒÂ¢Ã¢â€šÂ¬Ã¢â€žÂ¢t have eyebrows.", "The Mona Lisa doesn't have eyebrows.")]
    [InlineData("voilÃ le travail", "voilà le travail")]
    [InlineData("â€œlike this â€\ufffd", "\"like this \ufffd")]
    [InlineData("HÃ´tel de Police", "Hôtel de Police")]
    [InlineData("LiĂ¨ge Avenue de l'HĂ´pital", "Liège Avenue de l'Hôpital")]
    [InlineData("wei√ü", "weiß")]
    [InlineData("#╨┐╤Ç╨░╨▓╨╕╨╗╤î╨╜╨╛╨╡╨┐╨╕╤é╨░╨╜╨╕╨╡", "#правильноепитание")]
    [InlineData("дороге РўРѕР¶Рµ", "дороге Тоже")]
    [InlineData("æ—¥æœ¬èªž", "日本語")]
    [InlineData("Táº¡i sao giÃ¡ háº¡t sáº§u riÃªng láº¡i lÃªn giÃ¡?", "Tại sao giá hạt sầu riêng lại lên giá?")]
    [InlineData("Hi guys í\u00a0½í¸\u008d", "Hi guys 😍")]
    [InlineData("\u0084Handwerk bringt dich\u0093: nach Monaco", "\"Handwerk bringt dich\": nach Monaco")]
    [InlineData("ongeÃ«venaard", "ongeëvenaard")]
    public void Text_that_was_decoded_wrongly_is_restored(string text, string clean) => Assert.Equal(clean, PromptCleaning.Clean(text));

    [Theory]
    [InlineData("Ein Mädchen läuft über die Straße")]
    [InlineData("Une fille élégante à côté d'un château, l'été, où naît l'œuvre")]
    [InlineData("São Paulo à noite, coração e emoção, três pães")]
    [InlineData("MAÇÃ, IRMÃ E MÃE")]
    [InlineData("C O N C L U S Ã O")]
    [InlineData("RETWEET SE VOCÊ…")]
    [InlineData("NESTLÉ® requiere contratar personal")]
    [InlineData("Zażółć gęślą jaźń")]
    [InlineData("Příliš žluťoučký kůň úpěl ďábelské ódy")]
    [InlineData("Съешь же ещё этих мягких французских булок, да выпей чаю")]
    [InlineData("«Привет», — сказал он…")]
    [InlineData("Ξεσκεπάζω τὴν ψυχοφθόρα βδελυγμία")]
    [InlineData("日本の猫が窓の外を見ている")]
    [InlineData("שלום עולם, חתול על הגג")]
    [InlineData("قطة تجلس على السطح")]
    [InlineData("Việt Nam: một con mèo ngồi trên mái nhà")]
    [InlineData("5°C, 10€, 20£, ½ cup, 3×4 = 12, ±5%, µm, §12, © 2020 Foo™ ®")]
    [InlineData("The α-helix and β-sheet, Δx ≈ 5, 4288×…, √π, 5×£35")]
    [InlineData("Œuvre d'art : « Le café » – 100 %, ƒ/1.8")]
    [InlineData("emoji 😀🎉 ❤️ ☆★")]
    [InlineData("ESSE CARA AI QUEM É¿")]
    [InlineData("frataraká§ 141")]
    public void Text_that_is_right_stays_as_it_is(string text) => Assert.Equal(text, PromptCleaning.Clean(text));

    [Fact]
    public void Half_a_surrogate_pair_is_replaced() => Assert.Equal("lone \ufffd surrogate", PromptCleaning.Clean($"lone {'\ud83d'} surrogate"));

    [Fact]
    public void Cleaning_twice_is_cleaning_once()
    {
        string once = PromptCleaning.Clean("“Ã©” &amp;lt; \u001b[1mx");
        Assert.Equal(once, PromptCleaning.Clean(once));
    }

    [Fact]
    public void A_long_hostile_text_is_cleaned_in_bounded_work()
    {
        string layered = string.Concat(Enumerable.Repeat("Ã¢â‚¬", 5000)), references = string.Concat(Enumerable.Repeat("&#x26;amp;", 5000));
        Assert.False(string.IsNullOrEmpty(PromptCleaning.Clean(layered)));
        Assert.Equal(5000, PromptCleaning.Clean(references).Count(c => c == '&'));
    }
}
