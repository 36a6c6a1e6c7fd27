using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using DiCacheNative.Caching;
using DiCacheNative.Cli.Bench;
using DiCacheNative.Models;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cli;

/// <summary>dicache inspect: what a model at a resolution needs, told before anything is loaded.</summary>
internal static class InspectCommand
{
    public static Command Create()
    {
        string[] names = [.. ModelPreset.All().Where(p => p.Plan is not null).Select(p => p.Name)];
        Option<string> preset = new("--preset") { Description = "model and resolution: " + string.Join(", ", names), Required = true };
        Option<string> precision = new("--precision") { Description = "bf16 or f32", DefaultValueFactory = _ => "bf16" };
        Option<string> mode = new("--cache-mode") { Description = "none or dicache", DefaultValueFactory = _ => "dicache" };
        Option<int?> frames = new("--video-frames") { Description = "frames, 4 n + 1; default: the released model's" };
        Option<bool> json = new("--json") { Description = "one JSON object on standard output" };
        preset.AcceptOnlyFromAmong(names);
        precision.AcceptOnlyFromAmong("bf16", "f32");
        mode.AcceptOnlyFromAmong("none", "dicache");
        Command command = new("inspect", "Tells the memory that a model at a resolution needs: weights, activations, cache.") { preset, precision, mode, frames, json };
        command.SetAction((result, _) => CommandLine.GuardAsync(() =>
        {
            ModelPreset shape = ModelPreset.Find(result.GetValue(preset)!, frames: result.GetValue(frames));
            ICachePolicy policy = result.GetValue(mode) == "none" ? NoCachePolicy.Instance : new DiCachePolicy();
            MemoryPlan plan = shape.Plan!(result.GetValue(precision) == "f32" ? DType.F32 : DType.BF16, policy);
            if (result.GetValue(json))
            {
                JsonReport.Write(new JsonObject
                {
                    ["preset"] = shape.Name,
                    ["description"] = shape.Description,
                    ["precision"] = result.GetValue(precision),
                    ["cache_mode"] = policy.Name,
                    ["parameters"] = plan.Parameters,
                    ["weight_bytes"] = plan.WeightBytes,
                    ["activation_bytes"] = plan.ActivationBytes,
                    ["cache_bytes"] = plan.CacheBytes,
                    ["total_bytes"] = plan.TotalBytes,
                });
                return Task.FromResult(CommandLine.Ok);
            }

            static string Size(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9,8:0.00} GB");
            Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{shape.Name}: {shape.Description}; {plan.Parameters / 1e9:0.00} billion parameters, {result.GetValue(precision)}"));
            Console.Out.WriteLine($"weights      {Size(plan.WeightBytes)}");
            Console.Out.WriteLine($"activations  {Size(plan.ActivationBytes)}");
            Console.Out.WriteLine($"cache        {Size(plan.CacheBytes)}   ({policy.Name})");
            Console.Out.WriteLine($"total        {Size(plan.TotalBytes)}");
            return Task.FromResult(CommandLine.Ok);
        }));
        return command;
    }
}
