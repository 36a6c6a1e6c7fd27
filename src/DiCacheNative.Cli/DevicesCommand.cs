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
                    ["backends"] = JsonReport.List(
                        backends, b => new JsonObject { ["name"] = b.Name, ["available"] = b.Available, ["detail"] = b.Detail }),
                });
            }
            else
            {
                Grid grid = new("backend", "here", "what it computes with, or why it is not available");
                foreach (BackendStatus backend in backends)
                {
                    grid.Add(backend.Name, backend.Available ? "yes" : "no", backend.Detail);
                }

                grid.Write(terminal);
            }

            return CommandLine.Ok;
        });
        return command;
    }
}
