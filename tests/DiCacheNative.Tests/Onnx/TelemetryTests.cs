using System.Diagnostics;

namespace DiCacheNative.Tests.Onnx;

/// <summary>ONNX Runtime's official builds collect data about their use. This program must not take part in that without being asked.</summary>
public sealed class TelemetryTests
{
    [Fact]
    public void ONNX_Runtime_keeps_no_record_of_its_use()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "the folder of the records is known on Linux and macOS");
        using TemporaryFolder home = new();
        ProcessStartInfo start = new("dotnet", ["exec", Path.Combine(AppContext.BaseDirectory, "dicache.dll"), "devices"])
        {
            RedirectStandardOutput = true,
            Environment = { ["HOME"] = home.Path, ["XDG_CACHE_HOME"] = home.File("cache"), ["XDG_DATA_HOME"] = home.File("data") },
        };
        start.Environment.Remove("ORT_DISABLE_TELEMETRY");
        using Process process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Contains("ONNX Runtime", output, StringComparison.Ordinal);
        Assert.DoesNotContain(
            Directory.EnumerateFiles(home.Path, "*", SearchOption.AllDirectories),
            p => p.Contains("onnxruntime", StringComparison.OrdinalIgnoreCase) || Path.GetFileName(p) == "deviceid");
    }
}
