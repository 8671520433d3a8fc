// Two passes over memory: the gradients for their norm, then every slot once.
#include "adamw.h"

#include <algorithm>
#include <cmath>

#include "parallel.h"

namespace tfjs_torch {
namespace {

constexpr int64_t block = 16384;

TFJS_VECTOR double sumSquares(const float* x, int64_t count) {
  double total = 0;
  for (int64_t from = 0; from < count; from += 256) {
    float part = 0;
    for (int64_t i = from; i < std::min(count, from + 256); i++) part += x[i] * x[i];
    total += part;
  }
  return total;
}

struct Factors {
  float clip, beta1, beta2, step, decay, correction2, epsilon, ema;
};
TFJS_VECTOR void update(int64_t count, float* w, const float* g, float* m, float* v, float* ema, Bf16* copy, const Factors& f) {
  for (int64_t i = 0; i < count; i++) {
    const float gradient = g[i] * f.clip;
    m[i] = f.beta1 * m[i] + (1.0f - f.beta1) * gradient;
    v[i] = f.beta2 * v[i] + (1.0f - f.beta2) * gradient * gradient;
    w[i] = w[i] * f.decay - f.step * m[i] / (std::sqrt(v[i] * f.correction2) + f.epsilon);
  }
  if (ema) {
    for (int64_t i = 0; i < count; i++) ema[i] = f.ema * ema[i] + (1.0f - f.ema) * w[i];
  }
  if (copy) {
    for (int64_t i = 0; i < count; i++) fromFloat(w[i], copy[i]);
  }
}

// Blocks of all slots in one list, so that small parameters share a thread and large ones are split.
struct Piece {
  size_t slot;
  int64_t from, count;
};
std::vector<Piece> piecesOf(const std::vector<AdamWSlot>& slots) {
  std::vector<Piece> pieces;
  for (size_t s = 0; s < slots.size(); s++) {
    for (int64_t from = 0; from < slots[s].size; from += block) pieces.push_back({s, from, std::min(block, slots[s].size - from)});
  }
  return pieces;
}

}  // namespace

float gradientNorm(const std::vector<AdamWSlot>& slots, float gradScale) {
  const auto pieces = piecesOf(slots);
  std::vector<double> squares(pieces.size());
  parallelFor(static_cast<int64_t>(pieces.size()), 4, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; i++) squares[i] = sumSquares(slots[pieces[i].slot].gradient + pieces[i].from, pieces[i].count);
  });
  double total = 0;
  for (double square : squares) total += square;
  return static_cast<float>(std::sqrt(total) * std::abs(gradScale));
}

void adamWUpdate(const std::vector<AdamWSlot>& slots, const AdamWScalars& s, float norm) {
  const auto pieces = piecesOf(slots);
  const float clip = s.gradScale * std::min(1.0f, s.clipNorm / (norm + 1e-6f));
  parallelFor(static_cast<int64_t>(pieces.size()), 2, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; i++) {
      const AdamWSlot& slot = slots[pieces[i].slot];
      const Factors factors{clip, s.beta1, s.beta2, s.learningRate / s.biasCorrection1,
                            slot.decay ? 1.0f - s.learningRate * s.weightDecay : 1.0f, 1.0f / s.biasCorrection2, s.epsilon, s.emaDecay};
      const int64_t at = pieces[i].from;
      update(pieces[i].count, slot.variable + at, slot.gradient + at, slot.m + at, slot.v + at, slot.ema ? slot.ema + at : nullptr,
             slot.copy ? slot.copy + at : nullptr, factors);
    }
  });
}

}  // namespace tfjs_torch
