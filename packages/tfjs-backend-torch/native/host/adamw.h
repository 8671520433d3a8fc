// AdamW over many parameters at once, float32, in place, on the CPU.
#pragma once
#include <cstdint>
#include <vector>

#include "../device/portable.h"

namespace tfjs_torch {

struct AdamWSlot {
  int64_t size;
  float* variable;
  const float* gradient;
  float *m, *v, *ema;  // ema may be null
  Bf16* copy;  // of the variable, written with it; may be null
  bool decay;
};
// In the order of the kernel's `scalars` input.
struct AdamWScalars {
  float learningRate, beta1, beta2, epsilon, weightDecay, biasCorrection1, biasCorrection2, emaDecay, clipNorm, gradScale;
};

// Length of all gradients together, after gradScale.
float gradientNorm(const std::vector<AdamWSlot>& slots, float gradScale);
void adamWUpdate(const std::vector<AdamWSlot>& slots, const AdamWScalars& scalars, float norm);

}  // namespace tfjs_torch
