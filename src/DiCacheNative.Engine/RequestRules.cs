using System.Security.Cryptography;
using DiCacheNative.Sampling;

namespace DiCacheNative;

/// <summary>Ranges of a request that hold for every pipeline.</summary>
internal static class RequestRules
{
    /// <summary>Largest width and height, pixels.</summary>
    public const int LargestSide = 16384;

    /// <summary>Most frames of a video.</summary>
    public const int MostFrames = 4097;

    /// <summary>Most sampling steps.</summary>
    public const int MostSteps = 1000;

    /// <summary>Largest guidance, either sign.</summary>
    public const float LargestGuidance = 1000;

    /// <summary>Most images of a batch.</summary>
    public const int MostImages = 64;

    /// <summary>Refuses a request with one sentence.</summary>
    /// <exception cref="ArgumentException">The condition does not hold.</exception>
    public static void Require(bool condition, string sentence)
    {
        if (!condition)
        {
            throw new ArgumentException(sentence);
        }
    }

    /// <summary>Refuses pictures that no array could hold together.</summary>
    /// <param name="count">Images, or frames.</param>
    /// <param name="width">Pixels.</param>
    /// <param name="height">Pixels.</param>
    /// <exception cref="ArgumentException">They are too many.</exception>
    public static void RequireCountable(int count, int width, int height) => Require(
        3L * count * width * height <= Array.MaxLength,
        $"{count} pictures of {width}x{height} have {3L * count * width * height:N0} values; at most {Array.MaxLength:N0} can be made at once");

    /// <summary>A random seed: 32 bits, which every generator takes whole and a person can type.</summary>
    public static ulong DrawSeed() => BitConverter.ToUInt32(RandomNumberGenerator.GetBytes(sizeof(uint)));

    /// <summary>Checks what can be seen of a request without a model: before a thread takes it up.</summary>
    /// <param name="request">The request as it was made.</param>
    /// <exception cref="ArgumentNullException">The request is null, or its prompt or its cache.</exception>
    /// <exception cref="ArgumentException">A setting lies outside its range.</exception>
    public static void CheckMembers(GenerationRequest? request)
    {
        ArgumentNullException.ThrowIfNull(request);
        RequireSet(request.Prompt, nameof(request.Prompt), "an empty one is allowed");
        RequireSet(request.Cache, nameof(request.Cache), "CacheOptions.None computes every step");
        RequireKnown(request.Rng);
        RequireKnown(request.ProbeForm);
        RequireKnown(request.SamplingMethod ?? default);
        Require(request.Steps is null or (>= 1 and <= MostSteps), $"steps must be between 1 and {MostSteps}, not {request.Steps}");
        Require(request.BatchCount is >= 1 and <= MostImages, $"the batch must be between 1 and {MostImages} images, not {request.BatchCount}");
        Require(
            Math.Abs(request.CfgScale ?? 1) <= LargestGuidance && Math.Abs(request.Guidance ?? 0) <= LargestGuidance,
            $"guidance (classifier-free and distilled) must lie between -{LargestGuidance} and {LargestGuidance}, "
            + $"not {request.CfgScale ?? 1} and {request.Guidance ?? 0}");
        Require(
            request.FlowShift is null or (>= SchedulerConfig.SmallestShift and < SchedulerConfig.LargestShift),
            $"the flow shift must lie between {SchedulerConfig.SmallestShift} and {SchedulerConfig.LargestShift}, not {request.FlowShift}");
    }

    /// <summary>Checks a request whose open settings have been filled in.</summary>
    /// <param name="request">The request.</param>
    /// <param name="multiple">What width and height must be multiples of.</param>
    /// <exception cref="ArgumentException">A setting lies outside its range.</exception>
    public static void Check(GenerationRequest request, int multiple)
    {
        (int width, int height) = (request.Width, request.Height);
        Require(
            width is > 0 and <= LargestSide && height is > 0 and <= LargestSide && width % multiple == 0 && height % multiple == 0,
            $"width and height must be multiples of {multiple} up to {LargestSide}, not {width}x{height}");
        CheckMembers(request);
    }

    private static void RequireSet(object? value, string name, string instead)
    {
        if (value is null)
        {
            throw new ArgumentNullException(name, $"the {name} of the request is null; {instead}");
        }
    }

    private static void RequireKnown<T>(T value)
        where T : struct, Enum => Require(Enum.IsDefined(value), $"{value} is no {typeof(T).Name}");
}
