using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;
using DiCacheNative.Cuda.Interop;
using DiCacheNative.Cuda.Kernels;
using DiCacheNative.Cuda.Runtime;

namespace DiCacheNative.Cuda.Tests;

/// <summary>What C# and native code must agree on byte by byte.</summary>
public sealed partial class KernelLayoutTests
{
    [Fact]
    public void Kernel_arguments_lie_in_csharp_as_the_compiler_lays_them_out()
    {
        KernelCompiler compiler = new(Natives.RequireNvrtc().Nvrtc!);
        Dictionary<string, Type> structs = typeof(LayerNormModulateArgs).Assembly.GetTypes()
            .Where(t => t.IsValueType && t.Namespace == typeof(LayerNormModulateArgs).Namespace
                && (t.Name.EndsWith("Args", StringComparison.Ordinal) || t.Name is "Rows" or "Vector"))
            .ToDictionary(t => t.Name);
        StringBuilder text = new(string.Concat(KernelSource.Headers.Select(h => $"#include \"{h.File}\"\n")));
        List<string> compared = [];
        foreach (Match m in Struct().Matches(string.Concat(KernelSource.Headers.Select(h => h.Text))))
        {
            compared.Add(m.Groups[1].Value);
        }

        foreach (Match m in KernelSource.All.SelectMany(s => Struct().Matches(s.Text)))
        {
            compared.Add(m.Groups[1].Value);
            text.AppendLine(m.Value);
        }

        Assert.Equal(structs.Keys.Order(), compared.Order());
        foreach (string name in compared)
        {
            text.AppendLine($"static_assert(sizeof({name}) == {Marshal.SizeOf(structs[name])}, \"size of {name}\");");
            foreach (FieldInfo field in structs[name].GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic))
            {
                string member = SnakeCase().Replace(field.Name, "_$1").ToLowerInvariant();
                text.AppendLine($"static_assert({OffsetOf(name, member)} == {Marshal.OffsetOf(structs[name], field.Name)}, \"{name}.{member}\");");
            }
        }

        compiler.Compile("layouts.cu", text.ToString(), "sm_80", out _);
    }

    [Fact]
    public void A_layout_that_differs_would_be_noticed()
    {
        KernelCompiler compiler = new(Natives.RequireNvrtc().Nvrtc!);
        string text = $"struct S {{ int a; double b; }}; static_assert({OffsetOf("S", "b")} == 4, \"moved\");";

        KernelCompileException e = Assert.Throws<KernelCompileException>(() => compiler.Compile("layouts.cu", text, "sm_80", out _));

        Assert.Contains("moved", e.Log, StringComparison.Ordinal);
    }

    [Fact]
    public void The_attention_tile_table_is_the_same_on_both_sides()
    {
        string header = KernelSource.Headers.Single(h => h.File == "attention_tiles.cuh").Text;

        AttentionTile[] native = [.. Tile().Matches(header).Select(m => new AttentionTile(
            int.Parse(m.Groups[1].ValueSpan), int.Parse(m.Groups[2].ValueSpan), int.Parse(m.Groups[3].ValueSpan), int.Parse(m.Groups[4].ValueSpan),
            m.Groups[5].Value == "true"))];

        Assert.Equal(AttentionTile.All, native);
        Assert.Contains($"kSingleQueries = {AttentionTile.SingleQueries};", header, StringComparison.Ordinal);
        Assert.All(AttentionTile.All, t => Assert.InRange(t.SharedBytes, 1, 99 << 10)); // what sm_86 and sm_89 give one block
    }

    [Fact]
    public void Structures_of_cublas_have_their_native_sizes_and_offsets()
    {
        Assert.Equal(64, Unsafe.SizeOf<MatmulAlgo>());
        Assert.Equal(96, Unsafe.SizeOf<MatmulHeuristicResult>());
        Assert.Equal(64, Marshal.OffsetOf<MatmulHeuristicResult>(nameof(MatmulHeuristicResult.WorkspaceSize)));
        Assert.Equal(72, Marshal.OffsetOf<MatmulHeuristicResult>(nameof(MatmulHeuristicResult.State)));
        Assert.Equal(76, Marshal.OffsetOf<MatmulHeuristicResult>(nameof(MatmulHeuristicResult.WavesCount)));
        Assert.Equal(80, Marshal.OffsetOf<MatmulHeuristicResult>(nameof(MatmulHeuristicResult.Reserved)));
    }

    // NVRTC has no offsetof; its front end has this.
    private static string OffsetOf(string type, string member) => $"(unsigned long long)__INTADDR__(&((({type}*)0)->{member}))";

    [GeneratedRegex(@"^struct (\w+Args|Rows|Vector) \{.*?^\};", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Struct();

    [GeneratedRegex(@"(?<!^)([A-Z])")]
    private static partial Regex SnakeCase();

    [GeneratedRegex(@"struct AttentionTile<(\d+)> \{\s+static constexpr int kQueries = (\d+), kKeys = (\d+), kWarps = (\d+);[^\n]*\n\s+static constexpr bool kAnyAlignment = (true|false);")]
    private static partial Regex Tile();
}
