// The storage policy. TensorFlow.js sees float32; under bf16 products are computed, and their results stored, in bf16
// with float32 accumulation. Statistics, softmax, losses and optimiser state stay in float32.
#pragma once
#include <ATen/ATen.h>

namespace tfjs_torch {

enum class Precision { fp32, tf32, bf16 };
Precision precision();
void setPrecision(Precision precision);

// The type in which a matrix product or convolution reads x: float32 as it is, or rounded to bf16 by the policy.
inline at::ScalarType typeForMatmul(const at::Tensor& x) {
  switch (x.scalar_type()) {
    case at::kFloat:
    case at::kBFloat16: return precision() == Precision::bf16 ? at::kBFloat16 : at::kFloat;
    case at::kBool: return at::kInt;
    default: return x.scalar_type();
  }
}
inline at::Tensor forMatmul(const at::Tensor& x) { return x.to(typeForMatmul(x)); }

}  // namespace tfjs_torch
