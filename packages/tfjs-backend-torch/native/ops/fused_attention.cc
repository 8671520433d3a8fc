// Views with the heads first, which libtorch reads by their strides: nothing is moved. What it refuses (a head's width, a
// GPU that is too old) it refuses before it starts, with an exception.
#include "fused_attention.h"

#include <ATen/Context.h>
#include <ATen/Version.h>
#include <torch/version.h>

namespace tfjs_torch {

#if defined(TFJS_TORCH_CUDA) && TORCH_VERSION_MAJOR >= 2

namespace {

bool all(at::ScalarType type, std::initializer_list<Tensor> tensors) {
  for (const Tensor& x : tensors) {
    if (!x.is_cuda() || x.scalar_type() != type || x.numel() == 0) return false;
  }
  return true;
}
bool byFlash(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads) {
  const int64_t width = q.size(2) / heads;
  return all(at::kBFloat16, {q, k, v}) && width % 8 == 0 && width <= 256;
}
// Its gradient adds up in an order of its own.
bool byEfficient(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads) {
  return all(at::kFloat, {q, k, v}) && q.size(2) / heads % 4 == 0 && !at::globalContext().deterministicAlgorithms();
}
Tensor headsView(const Tensor& x, int64_t heads) {  // [N, h, L, d]
  return x.view({x.size(0), x.size(1), heads, x.size(2) / heads}).transpose(1, 2);
}
Tensor joined(const Tensor& x) { return x.transpose(1, 2).reshape({x.size(0), x.size(2), x.size(1) * x.size(3)}); }
// The state of random numbers is read for dropout alone, of which there is none.
Tensor noRandom(const Tensor& q) { return at::empty({2}, q.options().dtype(at::kLong)); }

Tensors flash(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads, bool causal) {
  const auto result = at::_scaled_dot_product_flash_attention(headsView(q, heads), headsView(k, heads), headsView(v, heads), 0.0, causal);
  const Tensor logSumExp = std::get<1>(result);
  if (logSumExp.numel() != q.size(0) * heads * q.size(1)) return {};
  return {joined(std::get<0>(result)), logSumExp.reshape({q.size(0) * heads, q.size(1)})};
}
Tensors flashGrad(const Tensor& dy, const Tensor& y, const Tensor& logSumExp, const Tensor& q, const Tensor& k, const Tensor& v,
                  int64_t heads, bool causal) {
  const Tensor none, random = noRandom(q);
  const auto result = at::_scaled_dot_product_flash_attention_backward(
      headsView(dy.to(at::kBFloat16), heads), headsView(q, heads), headsView(k, heads), headsView(v, heads),
      headsView(y.to(at::kBFloat16), heads), logSumExp.view({q.size(0), heads, q.size(1)}), none, none, q.size(1), k.size(1), 0.0,
      causal, random, random);
  return {joined(std::get<0>(result)), joined(std::get<1>(result)), joined(std::get<2>(result))};
}

// The log-sum-exp is padded to whole blocks: [N, h, L'], kept as [1, N, h, L'].
Tensors efficient(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads, bool causal) {
  const auto result = at::_scaled_dot_product_efficient_attention(headsView(q, heads), headsView(k, heads), headsView(v, heads),
                                                                  std::nullopt, /*compute_log_sumexp=*/true, 0.0, causal);
  return {joined(std::get<0>(result)), std::get<1>(result).unsqueeze(0).contiguous()};
}
Tensors efficientGrad(const Tensor& dy, const Tensor& y, const Tensor& logSumExp, const Tensor& q, const Tensor& k,
                      const Tensor& v, int64_t heads, bool causal) {
  const Tensor none, random = noRandom(q);
  const auto result = at::_scaled_dot_product_efficient_attention_backward(
      headsView(dy.to(at::kFloat), heads), headsView(q, heads), headsView(k, heads), headsView(v, heads), none,
      headsView(y, heads), logSumExp.squeeze(0), random, random, 0.0, {true, true, true, false}, causal);
  return {joined(std::get<0>(result)), joined(std::get<1>(result)), joined(std::get<2>(result))};
}

}  // namespace

Tensors fusedAttention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads, bool causal) {
  try {
    if (byFlash(q, k, v, heads)) return flash(q, k, v, heads, causal);
    if (byEfficient(q, k, v, heads)) return efficient(q, k, v, heads, causal);
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const c10::Error&) {
  }
  return {};
}

Tensors fusedAttentionGrad(const Tensor& dy, const Tensor& y, const Tensor& saved, const Tensor& q, const Tensor& k,
                           const Tensor& v, int64_t heads, bool causal) {
  if (saved.dim() == 4) return efficientGrad(dy, y, saved, q, k, v, heads, causal);
  if (saved.dim() != 2 || !byFlash(q, k, v, heads)) return {};
  try {
    return flashGrad(dy, y, saved, q, k, v, heads, causal);
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const c10::Error&) {
    return {};
  }
}

#else

Tensors fusedAttention(const Tensor&, const Tensor&, const Tensor&, int64_t, bool) { return {}; }
Tensors fusedAttentionGrad(const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, int64_t, bool) {
  return {};
}

#endif

}  // namespace tfjs_torch
