using DiCacheNative.Models.Flux;
using DiCacheNative.Models.HunyuanVideo;
using DiCacheNative.Models.Wan;
using DiCacheNative.Sampling;

namespace DiCacheNative.Fuzz.Targets;

/// <summary>Configurations of transformers.</summary>
internal sealed class ConfigTarget() : Target("config", 200)
{
    public const string Flux = """
        {"_class_name": "FluxTransformer2DModel", "in_channels": 8, "out_channels": null, "num_layers": 1, "num_single_layers": 1, "num_attention_heads": 1, "attention_head_dim": 12,
         "joint_attention_dim": 5, "pooled_projection_dim": 3, "guidance_embeds": false, "axes_dims_rope": [4, 4, 4], "patch_size": 1}
        """;

    public const string Wan = """
        {"_class_name": "WanModel", "model_type": "t2v", "in_dim": 2, "out_dim": 2, "dim": 12, "ffn_dim": 16, "num_heads": 1, "num_layers": 1, "freq_dim": 8, "text_dim": 5, "text_len": 4,
         "eps": 1e-06, "qk_norm": true, "cross_attn_norm": true, "patch_size": [1, 2, 2]}
        """;

    public const string WanDiffusers = """
        {"_class_name": "WanTransformer3DModel", "in_channels": 2, "out_channels": 2, "num_attention_heads": 1, "attention_head_dim": 12, "ffn_dim": 16, "num_layers": 1, "freq_dim": 8,
         "text_dim": 5, "eps": 1e-06, "qk_norm": "rms_norm_across_heads", "cross_attn_norm": true, "image_dim": null, "added_kv_proj_dim": null, "pos_embed_seq_len": null, "patch_size": [1, 2, 2]}
        """;

    public const string Hunyuan = """
        {"_class_name": "HYVideoDiffusionTransformer", "patch_size": [1, 2, 2], "in_channels": 2, "out_channels": 2, "hidden_size": 12, "heads_num": 1, "mlp_width_ratio": 1.34,
         "mm_double_blocks_depth": 1, "mm_single_blocks_depth": 1, "refiner_depth": 1, "text_states_dim": 5, "text_states_dim_2": 3, "guidance_embed": true, "rope_dim_list": [4, 4, 4],
         "rope_theta": 256}
        """;

    public const string HunyuanDiffusers = """
        {"_class_name": "HunyuanVideoTransformer3DModel", "patch_size": 2, "patch_size_t": 1, "in_channels": 2, "out_channels": 2, "num_attention_heads": 1, "attention_head_dim": 12,
         "mlp_ratio": 1.34, "num_layers": 1, "num_single_layers": 1, "num_refiner_layers": 1, "text_embed_dim": 5, "pooled_projection_dim": 3, "guidance_embeds": true,
         "rope_axes_dim": [4, 4, 4], "rope_theta": 256.0, "qk_norm": "rms_norm"}
        """;

    private static readonly (string Template, Action<string> Read)[] s_families =
    [
        (Flux, p => FluxConfig.Read(p)), (Wan, p => WanConfig.Read(p)), (WanDiffusers, p => WanConfig.Read(p)), (Hunyuan, p => HunyuanConfig.Read(p)),
        (HunyuanDiffusers, p => HunyuanConfig.Read(p)),
    ];

    public override void Run(Random random, string folder)
    {
        (string template, Action<string> read) = s_families[random.Next(s_families.Length)];
        Write(folder, "config.json", Mutation.Json(random, template));
        read(Path.Combine(folder, "config.json"));
    }
}

/// <summary>What a pipeline folder says beside its networks: model_index.json, scheduler, VAE, sampling.json.</summary>
internal sealed class PipelineTarget() : Target("pipeline", 120)
{
    private const string Sampling = """
        {"prediction_type": "flow_prediction", "shift": 3.0, "num_train_timesteps": 1000, "steps": 20, "guidance": 3.0, "negative_prompt": "", "frames": 9, "height": 64, "width": 96, "fps": 8}
        """;

    private const string FluxScheduler = """
        {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 3.0, "use_dynamic_shifting": true, "base_shift": 0.5, "max_shift": 1.15,
         "base_image_seq_len": 256, "max_image_seq_len": 4096, "use_karras_sigmas": false, "shift_terminal": null, "time_shift_type": "exponential"}
        """;

    private const string WanScheduler = """
        {"_class_name": "UniPCMultistepScheduler", "num_train_timesteps": 1000, "flow_shift": 3.0, "prediction_type": "flow_prediction", "solver_order": 2, "solver_type": "bh2",
         "use_flow_sigmas": true}
        """;

    private const string FluxVae = """
        {"_class_name": "AutoencoderKL", "block_out_channels": [16, 32, 64, 64], "latent_channels": 16, "sample_size": 1024, "scaling_factor": 0.3611, "shift_factor": 0.1159,
         "onnx_includes_scaling": false}
        """;

    private static readonly string s_wanVae =
        $$"""{"_class_name": "AutoencoderKLWan", "latents_mean": [{{string.Join(", ", Enumerable.Repeat("0.25", 16))}}], "latents_std": [{{string.Join(", ", Enumerable.Repeat("1.5", 16))}}]}""";

    public override void Run(Random random, string folder)
    {
        bool isFlux = random.Next(2) == 0;
        Write(folder, "model_index.json", Some(random, $$"""{"_class_name": "{{(isFlux ? "FluxPipeline" : "WanPipeline")}}", "transformer": ["diffusers", "WanTransformer3DModel"], "boundary_ratio": null}"""));
        Write(folder, "scheduler/scheduler_config.json", Some(random, isFlux ? FluxScheduler : WanScheduler));
        Write(folder, "vae/config.json", Some(random, isFlux ? FluxVae : s_wanVae));
        if (!isFlux && random.Next(2) == 0)
        {
            Write(folder, "sampling.json", Some(random, Sampling));
        }

        PipelineFolder located = PipelineFolder.Locate(folder);
        SchedulerConfig scheduler = located.Family == ModelFamily.Flux ? FluxPipelineConfig.Read(folder).Scheduler : WanPipelineConfig.Read(located).Scheduler;
        foreach (int steps in new[] { 1, 30 })
        {
            ISampler sampler = located.Family == ModelFamily.Flux
                ? FlowMatchEuler.Create(scheduler, steps, 1024, null) : new UniPcFlow(steps, scheduler.Shift, scheduler.TrainTimesteps);
            if (sampler.Sigmas.Any(s => !float.IsFinite(s)))
            {
                throw new InvalidOperationException("a scheduler that was accepted gives noise levels that are not finite");
            }
        }
    }

    // One file in three is changed, so that most errors are of one file.
    private static byte[] Some(Random random, string template) =>
        random.Next(3) == 0 ? Mutation.Json(random, template) : System.Text.Encoding.UTF8.GetBytes(template);
}
