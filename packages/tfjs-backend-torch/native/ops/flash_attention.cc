// Views with the heads first, which libtorch reads by their strides: nothing is moved. What it refuses (a head's width, a
// GPU that is too old) it refuses before it starts, with an exception.
#include "flash_attention.h"

#include <ATen/Version.h>
#include <torch/version.h>

namespace tfjs_torch {

#if defined(TFJS_TORCH_CUDA) && TORCH_VERSION_MAJOR >= 2

namespace {

bool fits(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads) {
  for (const Tensor& x : {q, k, v}) {
    if (!x.is_cuda() || x.scalar_type() != at::kBFloat16 || x.numel() == 0) return false;
  }
  const int64_t width = q.size(2) / heads;
  return width % 8 == 0 && width <= 256;
}
Tensor headsView(const Tensor& x, int64_t heads) {  // [N, h, L, d]
  return x.view({x.size(0), x.size(1), heads, x.size(2) / heads}).transpose(1, 2);
}
Tensor joined(const Tensor& x) { return x.transpose(1, 2).reshape({x.size(0), x.size(2), x.size(1) * x.size(3)}); }

}  // namespace

Tensors flashAttention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads, bool causal) {
  if (!fits(q, k, v, heads)) return {};
  try {
    const auto result = at::_scaled_dot_product_flash_attention(headsView(q, heads), headsView(k, heads), headsView(v, heads), 0.0, causal);
    const Tensor logSumExp = std::get<1>(result);
    if (logSumExp.numel() != q.size(0) * heads * q.size(1)) return {};
    return {joined(std::get<0>(result)), logSumExp.reshape({q.size(0) * heads, q.size(1)})};
  } catch (const c10::Error&) {
    return {};
  }
}

Tensors flashAttentionGrad(const Tensor& dy, const Tensor& y, const Tensor& logSumExp, const Tensor& q, const Tensor& k,
                           const Tensor& v, int64_t heads, bool causal) {
  if (!fits(q, k, v, heads) || logSumExp.dim() != 2) return {};
  try {
    const Tensor none;
    // Random numbers are for dropout, of which there is none.
    const Tensor random = at::zeros({2}, q.options().dtype(at::kLong));
    const auto result = at::_scaled_dot_product_flash_attention_backward(
        headsView(dy.to(at::kBFloat16), heads), headsView(q, heads), headsView(k, heads), headsView(v, heads),
        headsView(y.to(at::kBFloat16), heads), logSumExp.view({q.size(0), heads, q.size(1)}), none, none, q.size(1), k.size(1), 0.0,
        causal, random, random);
    return {joined(std::get<0>(result)), joined(std::get<1>(result)), joined(std::get<2>(result))};
  } catch (const c10::Error&) {
    return {};
  }
}

#else

Tensors flashAttention(const Tensor&, const Tensor&, const Tensor&, int64_t, bool) { return {}; }
Tensors flashAttentionGrad(const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, int64_t, bool) {
  return {};
}

#endif

}  // namespace tfjs_torch
