using System.Diagnostics.CodeAnalysis;

/// <summary>
/// Run by .NET inside the command line that a test starts with DOTNET_STARTUP_HOOKS: a thread of nobody's throws once the command line
/// parses.
/// </summary>
[SuppressMessage("Design", "CA1050:Declare types in namespaces", Justification = "the name is .NET's")]
internal static class StartupHook
{
    public const string Message = "thrown on a thread of its own";

    public static void Initialize() => AppDomain.CurrentDomain.AssemblyLoad += (_, e) =>
    {
        if (e.LoadedAssembly.GetName().Name == "System.CommandLine")
        {
            new Thread(() => throw new InvalidOperationException(Message)).Start();
            Thread.Sleep(Timeout.Infinite);
        }
    };
}
