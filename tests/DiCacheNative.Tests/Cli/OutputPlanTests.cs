using DiCacheNative.Cli;

namespace DiCacheNative.Tests.Cli;

public sealed class OutputPlanTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly List<string> _notes = [];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("a.png", 1, "a.png")]
    [InlineData("a.jpg", 3, "a-0.jpg a-1.jpg a-2.jpg")]
    [InlineData("x_%d.png", 2, "x_0.png x_1.png")]
    [InlineData("x_%03d.webp", 1, "x_000.webp")]
    [InlineData("100%.bmp", 2, "100%-0.bmp 100%-1.bmp")]
    [InlineData("%s%%d.png", 1, "%s%0.png")]
    public void Images_are_numbered(string name, int count, string expected) => Assert.Equal(
        expected.Split(' ').Select(_folder.File),
            OutputPlan.Create(new OutputTargets { Output = _folder.File(name), Video = false, Images = count }, _notes.Add).Images);

    public static TheoryData<string, string, string?, bool, int> Refused() => new()
    {
        { "--output must end in .png, .jpg, .jpeg, .webp, .bmp, not \".gif\"", "a.gif", null, false, 1 },
        { "--output must end in .mp4, .webm, .webp, .gif, .png, not \".jpg\"", "a.jpg", null, true, 1 },
        { "would both write", "a.png", "a.png", false, 1 },
        { "would both write", "a.png", "a-1.png", false, 3 },
        { "would both write", "a.png", "sub/../a.png", false, 1 },
        { "would both write", "a.png", "link/a.png", false, 1 },
        { "would both write", "a.png", "a-0007.png", true, 1 },
        { "would both write", "a.gif", "a.gif", true, 1 },
        { "writes one picture, not 2", "-", null, false, 2 },
        { "name a file", "-", null, true, 1 },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public void What_does_not_go_together_is_refused(string sentence, string output, string? trace, bool video, int images)
    {
        Directory.CreateDirectory(_folder.File("sub"));
        Directory.CreateSymbolicLink(_folder.File("link"), _folder.Path);
        ArgumentException e = Assert.Throws<ArgumentException>(() => OutputPlan.Create(
            new OutputTargets
            {
                Output = output == "-" ? output : _folder.File(output),
                Trace = trace is null ? null
                : _folder.File(trace),
                Video = video,
                Images = images
            }, _notes.Add));
        Assert.Contains(sentence, e.Message, StringComparison.Ordinal);
        Assert.Equal(["link", "sub"], Names());
    }

    public static TheoryData<string, string, string?> Unwritable() => new()
    {
        { "create it first", "none/a.png", null },
        { "create it first", "a.png", "none/t.jsonl" },
        { "it is a directory", "folder.png", null },
        { "its name is too long", new string('a', 252) + ".png", null },
    };

    [Theory]
    [MemberData(nameof(Unwritable))]
    public void What_cannot_be_written_is_told(string sentence, string output, string? trace)
    {
        Directory.CreateDirectory(_folder.File("folder.png"));
        IOException e = Assert.ThrowsAny<IOException>(() => OutputPlan.Create(
            new OutputTargets { Output = _folder.File(output), Trace = trace is null ? null : _folder.File(trace), Video = false },
                _notes.Add));
        Assert.Contains(sentence, e.Message, StringComparison.Ordinal);
        Assert.Equal(["folder.png"], Names());
    }

    [Fact]
    public void Numbers_that_make_a_name_too_long_are_found()
    {
        string name = new string('a', 251) + ".png";
        _ = OutputPlan.Create(new OutputTargets { Output = _folder.File(name), Video = false }, _notes.Add);
        Assert.ThrowsAny<IOException>(() =>
            OutputPlan.Create(new OutputTargets { Output = _folder.File(name), Video = false, Images = 2 }, _notes.Add));
        Assert.ThrowsAny<IOException>(() => OutputPlan.Create(new OutputTargets { Output = _folder.File(name), Video = true }, _notes.Add));
    }

    [Fact]
    public void A_json_report_and_a_picture_do_not_share_standard_output() => Assert.Throws<ArgumentException>(
        () => OutputPlan.Create(new OutputTargets { Output = "-", Video = false, Json = true }, _notes.Add));

    [Fact]
    public void A_picture_that_the_format_cannot_hold_is_refused_before_it_is_made() => Assert.Throws<ArgumentException>(
        () => OutputPlan.Create(new OutputTargets { Output = _folder.File("a.webp"), Video = false, Width = 16384 }, _notes.Add));

    [Fact]
    public void A_gif_tells_its_frame_rate()
    {
        OutputPlan plan = OutputPlan.Create(new OutputTargets { Output = _folder.File("a.gif"), Video = true }, _notes.Add);
        Assert.Equal((25, 50), (plan.Rate(25, _notes.Add), plan.Rate(50, _notes.Add)));
        Assert.Empty(_notes);
        Assert.Equal(16, plan.Rate(16, _notes.Add));
        Assert.Contains("16 frames a second are kept on the whole, with frames of 6 and 7", Assert.Single(_notes),
            StringComparison.Ordinal);
        Assert.Equal(50, plan.Rate(60, _notes.Add));
        Assert.Contains("plays slower", _notes[1], StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() =>
            OutputPlan.Create(new OutputTargets { Output = _folder.File("a.gif"), Video = true, Fps = 60 }, _notes.Add));
    }

    private string[] Names() =>
        [.. Directory.EnumerateFileSystemEntries(_folder.Path).Select(p => Path.GetFileName(p)!).Order(StringComparer.Ordinal)];
}
