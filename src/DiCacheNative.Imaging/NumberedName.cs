using System.Globalization;
using System.Text.RegularExpressions;

namespace DiCacheNative.Imaging;

/// <summary>
/// Names of numbered files: the number takes the place of %d, or of %04d and the like with that many digits; in a name without, it goes
/// before the extension. A % that is followed by anything else is a %.
/// </summary>
internal sealed partial class NumberedName
{
    private readonly string _folder;
    private readonly string _before;
    private readonly string _after;
    private readonly int _digits;

    /// <summary>Takes a name apart.</summary>
    /// <param name="path">The name; the place of the number is looked for in its last part alone.</param>
    /// <param name="separator">What stands before the number in a name that has no place for it.</param>
    /// <param name="digits">Least digits of the number in a name that has no place for it.</param>
    public NumberedName(string path, string separator, int digits)
    {
        (_folder, string name) = (Path.GetDirectoryName(path) ?? string.Empty, Path.GetFileName(path));
        Match place = Place().Match(name);
        HasPlace = place.Success;
        int asked = place.Groups[1].Success ? int.Parse(place.Groups[1].ValueSpan, CultureInfo.InvariantCulture) : 1;
        (_before, _after, _digits) = HasPlace ? (name[..place.Index], name[(place.Index + place.Length)..], asked)
            : (Path.GetFileNameWithoutExtension(name) + separator, Path.GetExtension(name), digits);
    }

    /// <summary>Whether the name has a place for the number.</summary>
    public bool HasPlace { get; }

    /// <summary>The name with a number.</summary>
    public string Of(int number) =>
        Path.Combine(_folder, _before + number.ToString(CultureInfo.InvariantCulture).PadLeft(_digits, '0') + _after);

    [GeneratedRegex("%(?:0([1-9]))?d", RegexOptions.CultureInvariant)]
    private static partial Regex Place();
}
