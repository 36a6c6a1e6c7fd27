namespace DiCacheNative;

/// <summary>
/// A file of a model (configuration, tokenizer, graph, weights) is missing, cannot be read, or does not say what it must. The message
/// names the file and what is wrong with it.
/// </summary>
public class ModelFormatException : DiCacheException
{
    /// <summary>Creates the exception.</summary>
    public ModelFormatException()
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">Which file, what is wrong with it, and what to do about it.</param>
    public ModelFormatException(string message)
        : base(Shown(message))
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">Which file, what is wrong with it, and what to do about it.</param>
    /// <param name="innerException">The cause.</param>
    public ModelFormatException(string message, Exception? innerException)
        : base(Shown(message), innerException)
    {
    }

    /// <summary>Creates the exception for a file; its message is "PATH: PROBLEM".</summary>
    /// <param name="path">The file.</param>
    /// <param name="problem">What is wrong with it.</param>
    /// <param name="innerException">The cause.</param>
    public ModelFormatException(string path, string problem, Exception? innerException = null)
        : base(Shown($"{path}: {problem}"), innerException)
    {
        Path = path;
    }

    /// <summary>The file, when one file is to blame.</summary>
    public string? Path { get; }

    // A message quotes what stands in the file: that must neither steer a terminal nor fill it.
    private static string Shown(string message)
    {
        const int longest = 2000;
        string text = message.Length > longest ? message[..longest] + "…" : message;
        return text.Any(char.IsControl) ? string.Concat(text.Select(c => char.IsControl(c) ? ' ' : c)) : text;
    }
}
