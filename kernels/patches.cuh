// patches.cuh: where element e of token t lies in latents [C, F, H, W]; patchify and unpatchify read this map in the two directions.
#pragma once
#include "common.cuh"

constexpr int kPatchThreads = 256;

struct PatchArgs {
  Rows latents;  // [B, 1, C * F * H * W]
  Rows tokens;   // [B, tokens, C * pt * ph * pw]
  int channels;
  int frames;
  int height;
  int width;
  int patch_frames;
  int patch_height;
  int patch_width;
  int channels_first;
};

// Position in the latents of element e of token t: token (f, y, x) holds the patch pt x ph x pw of all channels, in the order
// (c, pt, ph, pw) or (pt, ph, pw, c).
DEVICE long long latent_index(const PatchArgs& a, int t, int e) {
  const int patches_x = a.width / a.patch_width, patches_y = a.height / a.patch_height;
  const int patch = a.patch_frames * a.patch_height * a.patch_width;
  const int channel = a.channels_first ? e / patch : e % a.channels;
  int inside = a.channels_first ? e % patch : e / a.channels;
  const int px = inside % a.patch_width;
  inside /= a.patch_width;
  const int py = inside % a.patch_height;
  const int pf = inside / a.patch_height;
  const int x = t % patches_x * a.patch_width + px;
  t /= patches_x;
  const int y = t % patches_y * a.patch_height + py;
  const int f = t / patches_y * a.patch_frames + pf;
  return ((static_cast<long long>(channel) * a.frames + f) * a.height + y) * a.width + x;
}

// Tokens and elements of the thread; false beyond the last token.
DEVICE bool token_of(const PatchArgs& a, int& t, int& e) {
  const int token_width = a.channels * a.patch_frames * a.patch_height * a.patch_width;
  const int tokens = a.frames / a.patch_frames * (a.height / a.patch_height) * (a.width / a.patch_width);
  const unsigned index = blockIdx.x * static_cast<unsigned>(kPatchThreads) + threadIdx.x;
  t = index / token_width;
  e = index % token_width;
  return t < tokens;
}
