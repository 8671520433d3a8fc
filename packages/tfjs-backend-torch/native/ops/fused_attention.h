// Attention without the matrix of scores in memory, where libtorch has it: on CUDA, from libtorch 2.2 on. In bf16 flash attention,
// in float32 the memory-efficient one.
#pragma once
#include "../binding.h"

namespace tfjs_torch {

// q [N, L, h*d], k and v [N, M, h*d], all bf16 or all float32. {y, what the gradient wants}, or nothing where libtorch does not
// take it. The second is the log-sum-exp: [N * h, L] in bf16, of four axes in float32.
Tensors fusedAttention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads, bool causal);
// {dq, dk, dv} where `saved` is float32's of four axes, or in bf16; else nothing. A log-sum-exp of two axes serves the other way too.
Tensors fusedAttentionGrad(const Tensor& dy, const Tensor& y, const Tensor& saved, const Tensor& q, const Tensor& k,
                           const Tensor& v, int64_t heads, bool causal);

}  // namespace tfjs_torch
