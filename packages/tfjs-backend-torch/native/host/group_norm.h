// Group normalisation of float32 [n, rows, channels] on the CPU, optionally modulated and followed by silu:
// y = silu?((xhat * gamma + beta) * (1 + scale) + shift), scale and shift [n, channels] or null.
#pragma once
#include <cstdint>

namespace tfjs_torch {

struct GroupNormShape {
  int64_t n, rows, channels, groups;
};
struct GroupNormWeights {
  const float *gamma, *beta, *scale, *shift;
};

// stats: [n, groups, 2] = mean, 1 / sqrt(variance + epsilon)
void groupNormForward(GroupNormShape shape, const float* x, GroupNormWeights weights, float epsilon, bool silu, float* y,
                      float* stats);

// The same y from those stats.
void groupNormFromStats(GroupNormShape shape, const float* x, const float* stats, GroupNormWeights weights, bool silu, float* y);

// The last four may be null: dgamma, dbeta [channels], dscale, dshift [n, channels].
struct GroupNormGrads {
  float *dx, *dgamma, *dbeta, *dscale, *dshift;
};
void groupNormBackward(GroupNormShape shape, const float* dy, const float* x, const float* stats, GroupNormWeights weights,
                       bool silu, GroupNormGrads grads);

}  // namespace tfjs_torch
