using DiCacheNative.Models;

namespace DiCacheNative;

/// <summary>Pipelines that this engine does not run, named for what they are.</summary>
internal static class ForeignPipelines
{
    private const string Runs = "this engine runs FluxPipeline (FLUX.1, text to image) and WanPipeline (WAN 2.1, text to video)";

    // The first that the class name begins with: longer beginnings stand before shorter ones.
    private static readonly (string Start, string What)[] s_kinds =
    [
        ("FluxFill", "FLUX.1 Fill, which repaints a masked part of a picture"),
        ("FluxKontext", "FLUX.1 Kontext, which changes a given picture"),
        ("FluxControlNet", "FLUX.1 with a ControlNet, which follows a second picture"),
        ("FluxControl", "FLUX.1 Control, which follows the edges or depths of a given picture"),
        ("FluxPriorRedux", "FLUX.1 Redux, which varies a given picture"),
        ("FluxImg2Img", "FLUX.1 from a given picture"),
        ("FluxInpaint", "FLUX.1 that repaints a masked part of a picture"),
        ("Flux2", "FLUX.2, another architecture"),
        ("WanImageToVideo", "WAN image to video, which needs a first frame"),
        ("WanVACE", "WAN VACE, which edits given videos"),
        ("WanVideoToVideo", "WAN video to video, which needs a video"),
        ("WanAnimate", "WAN Animate, which moves a given figure"),
        ("WanSpeechToVideo", "WAN speech to video, which needs a sound"),
        ("HunyuanVideoImageToVideo", "HunyuanVideo image to video, which needs a first frame"),
        ("HunyuanVideoFramepack", "FramePack, another way of sampling HunyuanVideo"),
        ("HunyuanVideo", "HunyuanVideo, whose transformer this library has (HunyuanModel), but no pipeline around it"),
        ("StableDiffusion3", "Stable Diffusion 3, another architecture"),
        ("StableDiffusionXL", "Stable Diffusion XL, a U-Net"),
        ("StableDiffusion", "Stable Diffusion, a U-Net"),
        ("QwenImage", "Qwen-Image, another architecture"),
        ("LTX", "LTX-Video, another architecture"),
        ("CogVideoX", "CogVideoX, another architecture"),
        ("Mochi", "Mochi, another architecture"),
        ("PixArt", "PixArt, another architecture"),
        ("Sana", "Sana, another architecture"),
        ("Chroma", "Chroma, a FLUX.1 without modulation layers"),
    ];

    /// <summary>Why a pipeline of diffusers cannot be run; null when it can.</summary>
    /// <param name="index">Its model_index.json.</param>
    /// <param name="name">The class that the file names.</param>
    public static string? Problem(ModelJson index, string name)
    {
        if (name is not ("FluxPipeline" or "WanPipeline"))
        {
            string what = s_kinds.FirstOrDefault(k => name.StartsWith(k.Start, StringComparison.Ordinal)).What;
            return $"this is a {name}{(what is null ? string.Empty : $" ({what})")}; {Runs}";
        }

        if (index.Raw("transformer_2") is not ("null" or "[null,null]"))
        {
            return "\"transformer_2\": this is WAN 2.2 A14B, which changes to a second transformer during sampling; this engine runs one transformer (WAN 2.1)";
        }

        if (index.Raw("boundary_ratio") is var ratio && ratio != "null")
        {
            return $"\"boundary_ratio\" is {ratio}: this is WAN 2.2, which changes to a second transformer at that noise level; this engine runs one "
                + $"transformer (WAN 2.1)";
        }

        return index.Raw("expand_timesteps") is "null" or "false" ? null
            : "\"expand_timesteps\": this is WAN 2.2 TI2V 5B, which has a time step for every token and another VAE; this engine runs WAN 2.1";
    }

    /// <summary>Why a WAN transformer of a model_type cannot be run.</summary>
    public static string ProblemOfType(string type)
    {
        string what = type switch
        {
            "i2v" => " (image to video, which needs a first frame)",
            "flf2v" => " (first and last frame to video, which needs both)",
            "ti2v" => " (WAN 2.2 5B, which has a time step for every token and another VAE)",
            "vace" => " (VACE, which edits given videos)",
            "s2v" => " (speech to video, which needs a sound)",
            "animate" => " (Animate, which moves a given figure)",
            _ => string.Empty,
        };
        return $"the model_type is {type}{what}; this engine runs t2v (text to video)";
    }
}
