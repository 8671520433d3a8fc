// The storage policy. TensorFlow.js sees float32; under bf16 products are computed, and their results stored, in bf16
// with float32 accumulation. Statistics, softmax, losses and optimiser state stay in float32.
#pragma once
#include <ATen/ATen.h>

namespace tfjs_torch {

enum class Precision { fp32, tf32, bf16 };
Precision precision();
void setPrecision(Precision precision);

// What a matrix product or convolution reads: float32 as it is, or rounded to bf16 by the policy.
inline at::Tensor forMatmul(const at::Tensor& x) {
  if (precision() == Precision::bf16 && x.scalar_type() == at::kFloat) return x.to(at::kBFloat16);
  if (precision() != Precision::bf16 && x.scalar_type() == at::kBFloat16) return x.to(at::kFloat);
  if (x.scalar_type() == at::kBool) return x.to(at::kInt);
  return x;
}

}  // namespace tfjs_torch
