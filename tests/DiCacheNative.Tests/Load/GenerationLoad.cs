using System.Runtime.InteropServices;
using System.Security.Cryptography;
using DiCacheNative.Imaging;

namespace DiCacheNative.Tests.Load;

/// <summary>
/// Many generations of images and videos, several at a time, with cancellations at random moments and engines that are disposed while they
/// work. Every picture that is finished must have the bytes of a run of its own.
/// </summary>
internal sealed class GenerationLoad(BackendKind backend, int count, int parallel)
{
    private static readonly GenerationRequest s_image = new() { Prompt = "a red circle left of a blue square", Width = 64, Height = 32, Steps = 4 };

    private static readonly (string Model, GenerationRequest Request)[] s_kinds =
    [
        ("shapes-flux", s_image),
        ("shapes-flux", s_image with { Seed = 7, Steps = 6, Cache = CacheOptions.DiCache() }),
        ("shapes-flux", s_image with { Prompt = "a green star", NegativePrompt = "a circle", CfgScale = 2, Steps = 3, Cache = CacheOptions.Interval(2) }),
        ("shapes-flux", s_image with { Prompt = "a green star", Width = 32, BatchCount = 2, Steps = 6, Cache = CacheOptions.DiCache(), KeepTrace = true }),
        ("shapes-wan", new() { Prompt = "a red circle moves right", Width = 32, Height = 32, VideoFrames = 5, Steps = 2 }),
    ];

    private readonly Random _random = new(count);
    private readonly Dictionary<string, Engine> _engines = [];
    private readonly string[] _expected = new string[s_kinds.Length];
    private int _finished, _different, _cancelled, _disposed;

    /// <summary>Generations with other bytes than alone.</summary>
    public int Different => _different;

    /// <summary>What happened, in one line.</summary>
    public string Summary =>
        $"{count} generations on {backend}, {parallel} at a time: {_finished} finished, {_different} of them with other bytes than alone, "
        + $"{_cancelled} cancelled, {_disposed} ended by Dispose";

    /// <summary>Whether every generation has ended in one of the ways it may, and some in each.</summary>
    public bool IsComplete => _finished + _cancelled + _disposed == count && _finished > 0 && _cancelled > 0 && _disposed > 0;

    /// <summary>Runs it.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        foreach (string model in s_kinds.Select(k => k.Model).Distinct())
        {
            _engines[model] = Load(model);
        }

        for (int i = 0; i < s_kinds.Length; i++)
        {
            _expected[i] = Hash(await _engines[s_kinds[i].Model].GenerateAsync(s_kinds[i].Request, cancellationToken: cancellationToken));
        }

        ParallelOptions options = new() { MaxDegreeOfParallelism = parallel, CancellationToken = cancellationToken };
        await Parallel.ForEachAsync(Enumerable.Range(0, count), options, async (i, _) => await OneAsync(i));

        // The others have ended while they worked.
        foreach (Engine engine in _engines.Values)
        {
            await engine.DisposeAsync();
        }
    }

    private async Task OneAsync(int index)
    {
        (int kind, int how, int moment) = Draw(index);
        (string model, GenerationRequest request) = s_kinds[kind];
        using CancellationTokenSource source = new();
        Engine engine;
        lock (_engines)
        {
            engine = _engines[model];
        }

        bool disposes = index % Math.Max(1, count / 4) == count / 8;
        if (disposes)
        {
            request = request with { OnStep = s => Dispose(model, engine, s.Step) };
        }
        else if (how == 0)
        {
            request = request with { OnStep = s => CancelAt(s.Step, moment, source) };
        }
        else if (how == 1)
        {
            source.CancelAfter(moment);
        }

        try
        {
            string hash = Hash(await engine.GenerateAsync(request, cancellationToken: source.Token));
            Interlocked.Increment(ref _finished);
            if (hash != _expected[kind])
            {
                Interlocked.Increment(ref _different);
            }
        }
        catch (OperationCanceledException e) when (e.CancellationToken == source.Token)
        {
            Interlocked.Increment(ref _cancelled);
        }
        catch (ObjectDisposedException e) when (e.ObjectName == nameof(Engine))
        {
            Interlocked.Increment(ref _disposed);
        }
    }

    private static void CancelAt(int step, int moment, CancellationTokenSource source)
    {
        if (step == moment % 2)
        {
            source.Cancel();
        }
    }

    /// <summary>Puts another engine in the place of one at its first step, and disposes it on another thread: it works on until that comes.</summary>
    private void Dispose(string model, Engine engine, int step)
    {
        if (step > 0)
        {
            return;
        }

        lock (_engines)
        {
            if (_engines[model] == engine)
            {
                _engines[model] = Load(model);
            }
        }

        using ManualResetEventSlim begun = new();
        Thread thread = new(() =>
        {
            Task disposal = engine.DisposeAsync().AsTask();
            begun.Set();
            disposal.Wait();
        });
        thread.UnsafeStart();
        begun.Wait();
    }

    private (int Kind, int How, int Moment) Draw(int index)
    {
        lock (_random)
        {
            return (index % s_kinds.Length, _random.Next(5), _random.Next(200));
        }
    }

    private Engine Load(string model) => Engine.Load(Repository.File("models", model), new EngineOptions { Backend = backend, Threads = 2 });

    private static string Hash(GenerationResult result)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (Image image in result.Images)
        {
            hash.AppendData(image.Pixels);
        }

        hash.AppendData(MemoryMarshal.AsBytes(result.Latents.AsSpan()));
        return Convert.ToHexString(hash.GetHashAndReset());
    }
}
