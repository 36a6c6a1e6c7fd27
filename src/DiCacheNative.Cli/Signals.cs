using System.Globalization;
using System.Runtime.InteropServices;

namespace DiCacheNative.Cli;

/// <summary>
/// Ctrl-C, a request to end and a closed terminal, as one cancellation. The second signal ends the process at once; a signal that whoever
/// started the program has it ignore (nohup, a background job of a script) stays ignored.
/// </summary>
internal sealed class Signals : IDisposable
{
    private static readonly (PosixSignal Signal, int Number)[] s_all =
        [(PosixSignal.SIGHUP, 1), (PosixSignal.SIGINT, 2), (PosixSignal.SIGTERM, 15)];

    private readonly CancellationTokenSource _source = new();
    private readonly List<PosixSignalRegistration> _registrations = [];
    private int _received;

    private readonly Action _atOnce;

    private Signals(Action atOnce) => _atOnce = atOnce;

    /// <summary>Cancelled by the first signal.</summary>
    public CancellationToken Token => _source.Token;

    /// <summary>Number of the signal that came; 0 for none.</summary>
    public int Received => Volatile.Read(ref _received);

    /// <summary>Listens until it is disposed.</summary>
    /// <param name="atOnce">Called when a second signal ends the process.</param>
    public static Signals Listen(Action atOnce)
    {
        Signals signals = new(atOnce);
        ulong ignored = Ignored();
        foreach ((PosixSignal signal, int number) in s_all)
        {
            if ((ignored & (1UL << (number - 1))) == 0)
            {
                signals._registrations.Add(PosixSignalRegistration.Create(signal, context => signals.On(context, number)));
            }
        }

        return signals;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in _registrations)
        {
            registration.Dispose();
        }
    }

    private void On(PosixSignalContext context, int number)
    {
        // What is not cancelled here is left to the system, which ends the process by the signal.
        if (Interlocked.CompareExchange(ref _received, number, 0) == 0)
        {
            context.Cancel = true;
            _ = _source.CancelAsync();
        }
        else
        {
            _atOnce();
        }
    }

    // The mask of ignored signals, which Linux tells; elsewhere none is known to be.
    private static ulong Ignored()
    {
        const string Field = "SigIgn:";
        try
        {
            IEnumerable<string> status = OperatingSystem.IsLinux() ? File.ReadLines("/proc/self/status") : [];
            string mask = status.FirstOrDefault(line => line.StartsWith(Field, StringComparison.Ordinal))?[Field.Length..].Trim() ?? "0";
            return ulong.Parse(mask, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
            return 0;
        }
    }
}
