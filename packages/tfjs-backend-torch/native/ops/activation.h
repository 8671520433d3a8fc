// The activation that TensorFlow.js's fused kernels apply to their result; codes of src/kernels/activation.ts.
#pragma once
#include "ops.h"

namespace tfjs_torch {

struct Activation {
  int64_t code;
  const MaybeTensor& prelu;
  double leakyAlpha;
};

inline Tensor activate(const Tensor& x, const Activation& activation) {
  switch (activation.code) {
    case 0: return x;
    case 1: return at::clamp_min(x, 0);
    case 2: return at::clamp(x, 0, 6);
    case 3: return at::elu(x);
    case 4: return at::where(at::lt(x, 0), at::mul(x, *activation.prelu), x);
    case 5: return at::leaky_relu(x, activation.leakyAlpha);
    case 6: return at::sigmoid(x);
  }
  argumentError("an activation code from 0 to 6");
}

}  // namespace tfjs_torch
