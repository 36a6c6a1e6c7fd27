using System.CommandLine;
using System.Text.Json.Nodes;

namespace DiCacheNative.Cli;

/// <summary>dicache devices: the backends, and why one is not available.</summary>
internal static class DevicesCommand
{
    public static Command Create(Terminal terminal)
    {
        Option<bool> json = Opt.Flag("--json", "one JSON object on standard output");
        Command command = new("devices", "Lists the backends with what they compute with, or why one is not available.") { json };
        command.SetAction(result =>
        {
            IReadOnlyList<BackendStatus> backends = BackendFactory.List();
            if (result.GetValue(json))
            {
                terminal.WriteJson(new JsonObject
                {
                    ["backends"] = JsonReport.List(backends, b => new JsonObject { ["name"] = b.Name, ["available"] = b.Available, ["detail"] = b.Detail }),
                });
            }
            else
            {
                foreach (BackendStatus backend in backends)
                {
                    terminal.Write($"{backend.Name,-10} {(backend.Available ? "yes" : "no"),-4} {backend.Detail}");
                }
            }

            return CommandLine.Ok;
        });
        return command;
    }
}
