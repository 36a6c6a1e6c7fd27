using DiCacheNative.Cuda.Runtime;

namespace DiCacheNative.Cuda.Tests;

/// <summary>Every kernel through the real NVRTC, which needs no GPU.</summary>
public sealed class KernelCompileTests(ITestOutputHelper output)
{
    [Fact]
    public void Every_kernel_compiles_for_every_architecture_without_spills_and_within_its_budget()
    {
        CudaLibraries libraries = Natives.RequireNvrtc();

        IReadOnlyList<KernelResources> rows = KernelReport.Compile(libraries, KernelReport.Architectures);

        output.WriteLine($"NVRTC {libraries.CompilerVersion}");
        output.WriteLine(KernelReport.Format(rows));
        Assert.Equal(KernelSource.All.Sum(s => s.Entries.Count) * KernelReport.Architectures.Count, rows.Count);
        Assert.All(rows, r => Assert.True(r.WithinBudget, $"{r}"));
        Assert.All(rows, r => Assert.InRange(r.Registers, 8, 255));
    }

    [Fact]
    public void A_kernel_that_does_not_compile_is_reported_with_its_name_log_and_source()
    {
        KernelCompiler compiler = new(Natives.RequireNvrtc().Nvrtc!);
        const string text = "extern \"C\" __global__ void wrong() { undeclared = 1; }";

        KernelCompileException e = Assert.Throws<KernelCompileException>(() => compiler.Compile("wrong.cu", text, "sm_80", out _));

        Assert.Contains("wrong.cu", e.Message, StringComparison.Ordinal);
        Assert.Contains("undeclared", e.Log, StringComparison.Ordinal);
        Assert.Equal(text, e.SourceText);
    }

    [Fact]
    public void An_architecture_newer_than_the_compiler_gets_portable_code_for_the_newest_it_knows()
    {
        KernelCompiler compiler = new(Natives.RequireNvrtc().Nvrtc!);

        Assert.Equal("sm_90", compiler.Target(90));
        Assert.StartsWith("compute_", compiler.Target(999), StringComparison.Ordinal);
    }

    [Fact]
    public void Every_kernel_file_states_its_shapes_math_needs_launch_moves_budget_limit_and_reason()
    {
        Assert.NotEmpty(KernelSource.All);
        Assert.All(KernelSource.All, s =>
        {
            string[] header = [.. s.Text.Split('\n').TakeWhile(line => line.StartsWith("//", StringComparison.Ordinal))];
            Assert.StartsWith($"// {Path.GetFileNameWithoutExtension(s.File)}: ", header[0], StringComparison.Ordinal);
            foreach (string field in (string[])["shapes", "math", "needs", "launch", "moves", "budget", "limit", "why"])
            {
                Assert.Contains(header, line => line.StartsWith($"// {field} ", StringComparison.Ordinal));
            }
        });
    }
}
