using System.CommandLine;

namespace DiCacheNative.Cli;

/// <summary>dicache devices: the backends, and why one is not available.</summary>
internal static class DevicesCommand
{
    public static Command Create()
    {
        Option<bool> json = new("--json") { Description = "one JSON object on standard output" };
        Command command = new("devices", "Lists the backends with what they compute with, or why one is not available.") { json };
        command.SetAction((result, _) => CommandLine.GuardAsync(() =>
        {
            IReadOnlyList<BackendStatus> backends = BackendFactory.List();
            if (result.GetValue(json))
            {
                CommandLine.WriteJson(new { backends });
            }
            else
            {
                foreach (BackendStatus backend in backends)
                {
                    Console.Out.WriteLine($"{backend.Name,-10} {(backend.Available ? "yes" : "no"),-4} {backend.Detail}");
                }
            }

            return Task.FromResult(CommandLine.Ok);
        }));
        return command;
    }
}
