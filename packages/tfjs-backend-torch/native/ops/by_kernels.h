// Operations by the kernels of native/device: on a GPU, and on the CPU where the emulator is on. Each says whether it takes a
// shape; what it does not take is left to libtorch's calls.
#pragma once
#include "../binding.h"

namespace tfjs_torch {

// Whether the kernels of native/device are to compute on this tensor's device.
bool byKernels(const Tensor& x);

// {y, stats} and {dx, dgamma, dbeta, dscale, dshift} without those not asked for; empty where the shape is not taken.
Tensors groupNormByKernels(const Tensor& x, const Tensor& gamma, const Tensor& beta, const MaybeTensor& scale,
                           const MaybeTensor& shift, int64_t groups, double epsilon, bool silu);
// y from those stats; undefined where the shape is not taken.
Tensor groupNormApplyByKernels(const Tensor& stats, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                               const MaybeTensor& scale, const MaybeTensor& shift, int64_t groups, bool silu);
Tensors groupNormGradByKernels(const Tensor& dy, const Tensor& stats, const Tensor& x, const Tensor& gamma,
                               const Tensor& beta, const MaybeTensor& scale, const MaybeTensor& shift, int64_t groups,
                               bool silu, bool parameters, const MaybeTensor& onto);
// {y} and {dq, dk, dv}
bool temporalAttentionByKernelsTakes(const Tensor& q, int64_t heads);
Tensor temporalAttentionByKernels(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads, int64_t window);
Tensors temporalAttentionGradByKernels(const Tensor& dy, const Tensor& q, const Tensor& k, const Tensor& v,
                                       int64_t heads, int64_t window);
// y, and {dspatial, dtemporal, dfactor} without the last where it is not asked for; undefined or empty where the types are not taken.
Tensor alphaMixByKernels(const Tensor& spatial, const Tensor& temporal, const Tensor& factor, bool switched);
Tensors alphaMixGradByKernels(const Tensor& dy, const Tensor& spatial, const Tensor& temporal, const Tensor& factor, bool switched, bool ofFactor);
// y and dx; undefined where the type is not taken
Tensor gegluByKernels(const Tensor& x);
Tensor gegluGradByKernels(const Tensor& dy, const Tensor& x);
// {y, stats} and {dx, dgamma, dbeta}, or {dx} without `parameters`; empty where the shape is not taken
Tensors layerNormByKernels(const Tensor& x, const Tensor& gamma, const Tensor& beta, double epsilon);
Tensors layerNormGradByKernels(const Tensor& dy, const Tensor& stats, const Tensor& x, const Tensor& gamma, bool parameters,
                               const MaybeTensor& onto);
// x [n, rows, channels] -> [n, channels], float32; undefined where the type is not taken
Tensor columnSumsByKernels(const Tensor& x);
// Adds up partial [n, chunks, channels], float32, in one launch: into y [n, channels], or of two the second into `second`.
void columnTotals(const Tensor& partial, float* y, float* second = nullptr);
// The gradients' norm. All tensors float32 but gradients, which may be bf16, and the variables' copies, which are bf16 or undefined.
Tensor adamWByKernels(const Tensor& scalars, const Tensors& variables, const Tensors& copies, const Tensors& gradients,
                      const Tensors& m, const Tensors& v, const Tensors& ema, const std::vector<bool>& decay);
Tensor philoxNormalByKernels(const Tensor& step, const Ints& shape, uint64_t seed, uint64_t stream, uint64_t offset);

}  // namespace tfjs_torch
