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
    private const double Giga = 1e9;

    public static Command Create(Terminal terminal)
    {
        Option<string> preset = Opt.Choice("--preset", "model and resolution", [.. ModelPreset.Names]).AsRequired();
        Option<string> precision = Opt.Choice("--precision", "type of weights and activations", ["bf16", "f32"], "bf16");
        Option<string> mode = Opt.Choice("--cache-mode", "cache to plan for", ["none", "dicache"], "dicache");
        Option<int?> frames = Opt.Whole("--video-frames", "frames, 4 n + 1; default: the released model's", 1, ModelPreset.MostFrames);
        Option<bool> json = Opt.Flag("--json", "one JSON object on standard output");
        Command command = new("inspect", "Tells the memory that a model at a resolution needs: weights, activations, cache.")
        {
            preset, precision, mode, frames, json,
        };
        command.SetAction(result =>
        {
            ModelPreset shape = ModelPreset.Find(result.GetValue(preset)!, frames: result.GetValue(frames));
            ICachePolicy policy = result.GetValue(mode) == "none" ? NoCachePolicy.Instance : new DiCachePolicy();
            MemoryPlan plan = shape.Plan(result.GetValue(precision) == "f32" ? DType.F32 : DType.BF16, policy);
            if (result.GetValue(json))
            {
                terminal.WriteJson(new JsonObject
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
                return CommandLine.Ok;
            }

            terminal.Write(string.Create(
                CultureInfo.InvariantCulture,
                $"{shape.Name}: {shape.Description}; {plan.Parameters / Giga:0.00} billion parameters, {result.GetValue(precision)}"));
            Grid grid = new("memory", ">GB", "");
            void Add(string what, long bytes, string remark) =>
                grid.Add(what, string.Create(CultureInfo.InvariantCulture, $"{bytes / Giga:0.00}"), remark);
            Add("weights", plan.WeightBytes, string.Empty);
            Add("activations", plan.ActivationBytes, string.Empty);
            Add("cache", plan.CacheBytes, policy.Name);
            Add("total", plan.TotalBytes, string.Empty);
            grid.Write(terminal);
            return CommandLine.Ok;
        });
        return command;
    }
}
