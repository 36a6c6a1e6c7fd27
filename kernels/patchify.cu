// patchify: cuts latents [C, F, H, W] into tokens, each holding the patch pt x ph x pw of all channels
// shapes   latents [B, 1, C*F*H*W] bf16 or f32, tokens [B, tokens, C*pt*ph*pw] bf16 or f32; rows and samples strided
// math     none, but the conversion
// needs    F, H, W multiples of the patch; sm_80+
// launch   grid = (C*F*H*W / 256 rounded up, B), block = 256 (one element per thread, in the order of the tokens)
// moves    2*C*F*H*W elements
// budget   registers <= 32, smem <= 0
// limit    FLUX 1024 (16 x 128 x 128): under 2 MB, so the launch is all it costs
// why      writes are coalesced; the scattered reads hit L2, since latents are small
#include "patches.cuh"

template <class X, class Y>
DEVICE void patchify(const PatchArgs& a) {
  int t, e;
  if (!token_of(a, t, e)) return;
  row_of<Y>(a.tokens, blockIdx.y, t)[e] = from_f32<Y>(to_f32(row_of<X>(a.latents, blockIdx.y, 0)[latent_index(a, t, e)]));
}

extern "C" __global__ void __launch_bounds__(kPatchThreads) patchify_bf16(const __grid_constant__ PatchArgs a) {
  patchify<bf16, bf16>(a);
}
extern "C" __global__ void __launch_bounds__(kPatchThreads) patchify_f32(const __grid_constant__ PatchArgs a) {
  patchify<float, float>(a);
}
extern "C" __global__ void __launch_bounds__(kPatchThreads) patchify_bf16_f32(const __grid_constant__ PatchArgs a) {
  patchify<bf16, float>(a);
}
extern "C" __global__ void __launch_bounds__(kPatchThreads) patchify_f32_bf16(const __grid_constant__ PatchArgs a) {
  patchify<float, bf16>(a);
}
