namespace DiCacheNative.Sampling;

/// <summary>Which published generator start noise is taken from, so that a seed means the same picture as elsewhere.</summary>
public enum RngKind
{
    /// <summary>PyTorch's CPU generator: what diffusers and ComfyUI use by default.</summary>
    Torch,

    /// <summary>PyTorch's CUDA generator: what the web UI calls NV and stable-diffusion.cpp calls cuda.</summary>
    Philox,
}
