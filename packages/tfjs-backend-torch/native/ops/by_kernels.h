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
Tensors groupNormGradByKernels(const Tensor& dy, const Tensor& stats, const Tensor& x, const Tensor& gamma,
                               const Tensor& beta, const MaybeTensor& scale, const MaybeTensor& shift, int64_t groups,
                               bool silu, bool parameters);
// {y} and {dq, dk, dv}
bool temporalAttentionByKernelsTakes(const Tensor& q, int64_t heads);
Tensor temporalAttentionByKernels(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads, int64_t window);
Tensors temporalAttentionGradByKernels(const Tensor& dy, const Tensor& q, const Tensor& k, const Tensor& v,
                                       int64_t heads, int64_t window);
// The gradients' norm. All tensors float32 but gradients, which may be bf16.
Tensor adamWByKernels(const Tensor& scalars, const Tensors& variables, const Tensors& gradients, const Tensors& m,
                      const Tensors& v, const Tensors& ema, const std::vector<bool>& decay);
Tensor philoxNormalByKernels(const Tensor& step, const Ints& shape, uint64_t seed, uint64_t stream, uint64_t offset);

}  // namespace tfjs_torch
