using System.Text;
using DiCacheNative.Caching;
using DiCacheNative.Imaging;
using DiCacheNative.Weights;
using Microsoft.Win32.SafeHandles;

namespace DiCacheNative.Cli;

/// <summary>
/// Writes what was generated where the plan says. When a file cannot be written after all, its content is kept elsewhere, and the message
/// says where: beside the file or in the temporary folder, never over a file that is there.
/// </summary>
/// <param name="plan">What is written and how.</param>
/// <param name="settings">The texts stored in each file.</param>
/// <param name="note">Receives what the user should know.</param>
internal sealed class OutputFiles(OutputPlan plan, PictureSettings settings, Action<string> note)
{
    /// <summary>Writes the images or the video.</summary>
    /// <returns>The files written.</returns>
    /// <exception cref="IOException">A file cannot be written; the message says where its content is now.</exception>
    public async Task<IReadOnlyList<string>> WriteAsync(GenerationResult generated, double fps, CancellationToken cancel)
    {
        if (plan.Video is not { } encoder)
        {
            return WriteImages(generated);
        }

        KeyValuePair<string, string>[] texts = settings.Of(generated, 0);
        try
        {
            return await encoder.EncodeAsync(generated.Images, plan.Rate(fps, note), plan.Output, texts, cancel);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            cancel.ThrowIfCancellationRequested();
            throw Kept(e, "the frames were", Rescue(name =>
            {
                string[] files = PngSequenceEncoder.Names(name, generated.Images.Count);
                return (files, () => new PngSequenceEncoder().EncodeAsync(generated.Images, fps, name, texts, CancellationToken.None)
                    .Wait(CancellationToken.None));
            }));
        }
    }

    /// <summary>Writes the decisions of the cache, when they were asked for.</summary>
    /// <exception cref="IOException">The file cannot be written; the message says where its content is now.</exception>
    public void WriteTrace(GenerationResult generated)
    {
        if (plan.Trace is not { } trace)
        {
            return;
        }

        void Write(string path) => AtomicFile.Write(path, stream =>
        {
            using StreamWriter writer = new(stream, new UTF8Encoding(false), leaveOpen: true);
            CacheTrace.Write(writer, generated.Trace);
        });
        try
        {
            Write(trace);
        }
        catch (Exception e)
        {
            throw Kept(e, "the picture was written, and the trace was", Rescue(trace, name => ([name], () => Write(name))));
        }
    }

    /// <summary>Keeps the latents of a generation whose decoder failed.</summary>
    /// <returns>Where they are.</returns>
    public string KeepLatents(UndecodedLatents latents)
    {
        SafetensorsWriter writer = new();
        writer.Add("latents", [.. latents.Shape], latents.Values);
        string name = (plan.ToStandardOutput ? "output" : plan.Output) + ".latents.safetensors";
        return $"the latents were {Rescue(name, path => ([path], () => writer.Save(path)))}";
    }

    private string[] WriteImages(GenerationResult generated)
    {
        for (int i = 0; i < generated.Images.Count; i++)
        {
            try
            {
                if (plan.ToStandardOutput)
                {
                    WriteToStandardOutput(generated.Images[i], settings.Of(generated, i));
                }
                else
                {
                    generated.Images[i].Save(plan.Images[i], settings.Of(generated, i));
                }
            }
            catch (Exception e)
            {
                int first = i, count = generated.Images.Count;
                throw Kept(e, count == 1 ? "the picture was" : "it and those after it were", Rescue(path =>
                {
                    NumberedName name = new(Path.ChangeExtension(path, ".png"), "-", digits: 1);
                    string[] files = count == 1 && !name.HasPlace ? [Path.ChangeExtension(path, ".png")]
                        : [.. Enumerable.Range(first, count - first).Select(name.Of)];
                    return (files, () =>
                    {
                        for (int k = first; k < count; k++)
                        {
                            generated.Images[k].Save(files[k - first], settings.Of(generated, k));
                        }
                    }
                    );
                }));
            }
        }

        return [.. plan.Images];
    }

    // Not by the console's stream, which takes a closed pipe for success.
    private static void WriteToStandardOutput(Image image, KeyValuePair<string, string>[] texts)
    {
        using MemoryStream content = new();
        image.Encode(content, ImageFormat.Png, texts);
        FileFailure.Named("standard output", () =>
        {
            if (OperatingSystem.IsWindows())
            {
                using Stream console = Console.OpenStandardOutput();
                content.WriteTo(console);
                return;
            }

            using SafeFileHandle handle = new(1, ownsHandle: false);
            using FileStream stream = new(handle, FileAccess.Write, bufferSize: 0);
            content.WriteTo(stream);
        });
    }

    private static IOException Kept(Exception e, string what, string kept) => new($"{e.Message.TrimEnd('.')}; {what} {kept}", e);

    private string Rescue(Func<string, (string[] Files, Action Write)> content) =>
        Rescue(plan.ToStandardOutput ? "output.png" : plan.Output, content);

    /// <summary>Writes beside a file or, when that is not to be or something is there, in a new folder of the temporary one.</summary>
    /// <param name="name">The file that could not be written.</param>
    /// <param name="content">The files for a name, and what writes them.</param>
    /// <returns>Where it is, as the end of a sentence.</returns>
    private static string Rescue(string name, Func<string, (string[] Files, Action Write)> content)
    {
        string failure = string.Empty;
        foreach (bool beside in new[] { true, false })
        {
            DirectoryInfo? folder = null;
            try
            {
                folder = beside ? null : Directory.CreateTempSubdirectory("dicache-");
                (string[] files, Action write) = content(folder is null ? name : Path.Combine(folder.FullName, Path.GetFileName(name)));
                if (beside && files.Any(Path.Exists))
                {
                    continue;
                }

                write();
                return $"kept as {files[0]}{(files.Length == 1 ? string.Empty : $" to {files[^1]}")}";
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or AggregateException)
            {
                failure = e.GetBaseException().Message;
                folder?.Delete(recursive: true);
            }
        }

        return $"lost, for it cannot be written elsewhere either ({failure})";
    }
}
