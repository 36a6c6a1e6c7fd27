// timestep_embed: sinusoids of scalars: y = [cos(t f_0) .. cos(t f_h-1), sin(t f_0) .. sin(t f_h-1)], f_i = exp(-ln(max_period) i / h)
// shapes   t f32 [B, 1, 1], y [B, 1, 2h] bf16 or f32
// math     f64 up to the store: t reaches 1000, and an f32 argument of that size is wrong in the fourth digit of its sine
// needs    sm_80+
// launch   grid = (h / 64 rounded up, B), block = 64 (one frequency per thread)
// moves    nothing worth counting
// budget   registers <= 64, smem <= 0
// limit    256 numbers per sample: the launch is all it costs
// why      on the device, so that a recorded step can be replayed with another t
#include "common.cuh"

constexpr int kTimestepThreads = 64;

struct TimestepEmbedArgs {
  Rows values;
  Rows y;
  double log_max_period;
  int half;
};

template <class T>
DEVICE void timestep_embed(const TimestepEmbedArgs& a) {
  const int i = blockIdx.x * kTimestepThreads + threadIdx.x;
  if (i >= a.half) return;
  const double argument = *row_of<float>(a.values, blockIdx.y, 0) * exp(-a.log_max_period * i / a.half);
  T* y = row_of<T>(a.y, blockIdx.y, 0);
  y[i] = from_f32<T>(static_cast<float>(cos(argument)));
  y[a.half + i] = from_f32<T>(static_cast<float>(sin(argument)));
}

extern "C" __global__ void __launch_bounds__(kTimestepThreads) timestep_embed_bf16(const __grid_constant__ TimestepEmbedArgs a) {
  timestep_embed<bf16>(a);
}
extern "C" __global__ void __launch_bounds__(kTimestepThreads) timestep_embed_f32(const __grid_constant__ TimestepEmbedArgs a) {
  timestep_embed<float>(a);
}
