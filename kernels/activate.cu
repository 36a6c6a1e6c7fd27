// activate: y = activation(x + bias): none (copy, cast), GELU by tanh, SiLU, GELU exact; also the epilogues that cuBLASLt has not
// shapes   x, y [B, L, C] bf16 or f32, rows and samples strided; bias f32 [C] or missing; y may be x
// math     f32 inside, one rounding at the store
// needs    with wide: C % 8 == 0, rows and bias 16-byte aligned; sm_80+
// launch   grid = (L * ceil(C / 8) / 256 rounded up, B), block = 256 (eight elements per thread)
// moves    2*L*C elements (R x  W y)        flops ~ 20*L*C for GELU
// budget   registers <= 40, smem <= 0
// limit    FLUX 1024 (L 4608, C 12288, bf16): 226 MB; in the GEMM's epilogue it would be free
// why      one kernel for every copy, cast and activation: they differ in one switch, which every thread takes alike
#include "elementwise.cuh"

// As the enum Epilogue of the engine.
constexpr int kGeluTanh = 1;
constexpr int kSilu = 2;
constexpr int kGeluErf = 3;

struct ActivateArgs {
  Rows x;
  Rows y;
  const float* bias;
  int row_count;
  int cols;
  int activation;
  int wide;
};

DEVICE float activated(float v, int activation) {
  switch (activation) {
    case kGeluTanh: {
      const float inner = 0.7978845608028654f * (v + 0.044715f * v * v * v);  // sqrt(2 / pi)
      return 0.5f * v * (1.f + tanhf(inner));
    }
    case kSilu:
      return v / (1.f + expf(-v));
    case kGeluErf:
      return 0.5f * v * (1.f + erff(v * 0.7071067811865476f));
    default:
      return v;
  }
}

template <class X, class Y>
DEVICE void activate(const ActivateArgs& a) {
  Piece piece;
  if (!piece_of(a.row_count, a.cols, piece)) return;
  float v[kVector];
  load8(v, piece_address<X>(a.x, piece), piece.count, a.wide);
  if (a.bias) {
    float bias[kVector];
    load8(bias, a.bias + piece.first, piece.count, a.wide);
#pragma unroll
    for (int i = 0; i < kVector; i++) v[i] += bias[i];
  }
  if (a.activation) {
#pragma unroll
    for (int i = 0; i < kVector; i++) v[i] = activated(v[i], a.activation);
  }
  store8(piece_address<Y>(a.y, piece), v, piece.count, a.wide);
}

extern "C" __global__ void __launch_bounds__(kElementwiseThreads) activate_bf16(const __grid_constant__ ActivateArgs a) {
  activate<bf16, bf16>(a);
}
extern "C" __global__ void __launch_bounds__(kElementwiseThreads) activate_f32(const __grid_constant__ ActivateArgs a) {
  activate<float, float>(a);
}
extern "C" __global__ void __launch_bounds__(kElementwiseThreads) activate_bf16_f32(const __grid_constant__ ActivateArgs a) {
  activate<bf16, float>(a);
}
extern "C" __global__ void __launch_bounds__(kElementwiseThreads) activate_f32_bf16(const __grid_constant__ ActivateArgs a) {
  activate<float, bf16>(a);
}
