using DiCacheNative.Models;

namespace DiCacheNative;

/// <summary>A folder with all parts of a model.</summary>
/// <param name="Path">The folder.</param>
/// <param name="Transformer">Transformer file that the user named inside it; null for the folder's own.</param>
/// <param name="Family">What it holds.</param>
internal sealed record PipelineFolder(string Path, string? Transformer, ModelFamily Family)
{
    private const string Index = "model_index.json";

    /// <summary>Settings of a WAN model whose transformer lies in the folder itself.</summary>
    public const string Sampling = "sampling.json";

    /// <summary>The pipeline folder that a path means.</summary>
    /// <param name="path">The folder, or a transformer file inside it.</param>
    /// <exception cref="ModelFormatException">The path does not exist, no pipeline is around it, or it is of an unknown model.</exception>
    public static PipelineFolder Locate(string path)
    {
        if (Directory.Exists(path))
        {
            return IsPipeline(path) ? new(path, null, FamilyOf(path)) : throw new ModelFormatException(
                $"{path} is no pipeline folder: it has neither {Index} (FLUX or WAN) nor {Sampling} and config.json (WAN) beside tokenizer, text_encoder "
                    + $"and vae_decoder");
        }

        if (!File.Exists(path))
        {
            throw new ModelFormatException($"there is no model at {path}: give a pipeline folder, such as models/shapes-flux");
        }

        for (string? folder = System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path)); folder is not null; folder = System.IO.Path.GetDirectoryName(
            folder))
        {
            if (IsPipeline(folder))
            {
                return new(folder, path, FamilyOf(folder));
            }
        }

        throw new ModelFormatException(
            $"{path} holds a transformer without text encoders and VAE: give the pipeline folder as the model and this file as its diffusion model");
    }

    private static bool IsPipeline(string folder) => Has(folder, Index) || (Has(folder, Sampling) && Has(folder, "config.json"));

    private static bool Has(string folder, string file) => File.Exists(System.IO.Path.Combine(folder, file));

    private static ModelFamily FamilyOf(string folder)
    {
        if (Has(folder, Index))
        {
            string index = System.IO.Path.Combine(folder, Index);
            ModelJson json = ModelJson.Read(index);
            string name = json.String("_class_name", "(none)");
            return ForeignPipelines.Problem(json, name) is { } problem ? throw new ModelFormatException(index, problem)
                : name == "WanPipeline" ? ModelFamily.Wan : ModelFamily.Flux;
        }

        string config = System.IO.Path.Combine(folder, "config.json"), type = ModelJson.Read(config).String("model_type", "(none)");
        return type == "t2v" ? ModelFamily.Wan : throw new ModelFormatException(config, ForeignPipelines.ProblemOfType(type));
    }
}
