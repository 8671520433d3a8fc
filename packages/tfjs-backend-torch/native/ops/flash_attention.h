// Attention without the matrix of scores, where libtorch has it: bf16 on CUDA, from libtorch 2 on.
#pragma once
#include "../binding.h"

namespace tfjs_torch {

// q [N, L, h*d], k and v [N, M, h*d] in bf16. {y, log-sum-exp [N * h, L]}, or nothing where libtorch does not take it.
Tensors flashAttention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads, bool causal);
// {dq, dk, dv}, or nothing: the log-sum-exp serves the other way too.
Tensors flashAttentionGrad(const Tensor& dy, const Tensor& y, const Tensor& logSumExp, const Tensor& q, const Tensor& k,
                           const Tensor& v, int64_t heads, bool causal);

}  // namespace tfjs_torch
