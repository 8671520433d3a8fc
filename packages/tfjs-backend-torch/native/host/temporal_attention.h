// Attention over time for every pixel, on [batch, frames, pixels, heads * width] float32 as it lies: no transposes.
#pragma once
#include <cstdint>

namespace tfjs_torch {

struct TemporalShape {
  int64_t batch, frames, pixels, heads, width;
  int64_t window;  // largest |i - j| attended; frames or more: all
};

// probabilities: [batch, pixels, heads, frames, frames]
void temporalForward(TemporalShape shape, const float* q, const float* k, const float* v, float* y, float* probabilities);
void temporalBackward(TemporalShape shape, const float* dy, const float* probabilities, const float* q, const float* k,
                      const float* v, float* dq, float* dk, float* dv);

}  // namespace tfjs_torch
