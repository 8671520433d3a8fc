// AdamW over many parameters with few launches: a launch's parameters are a table in its arguments, so that a recorded graph
// holds them by value. Every number that changes from step to step is read from `scalars` on the device (in the order of
// AdamWScalars in host/adamw.h). Where the gradients' norm is not finite nothing is written.
#pragma once
#include "thread.h"

namespace tfjs_torch {

constexpr int adamWSlots = 64;  // arguments of a launch end at 4 KiB
constexpr int adamWBlock = 8192;  // elements of a block
constexpr int adamWThreads = 256;

struct AdamWTable {
  float *variable[adamWSlots], *m[adamWSlots], *v[adamWSlots], *ema[adamWSlots];  // ema: null where there is none
  const void* gradient[adamWSlots];
  Bf16* copy[adamWSlots];  // of the variable, written with it; null where there is none
  int64_t size[adamWSlots];
  int firstBlock[adamWSlots + 1];
  bool decay[adamWSlots], low[adamWSlots];  // low: the gradient is bf16
  int count;

  TFJS_DEVICE float gradientAt(int slot, int64_t i) const {
    return low[slot] ? toFloat(static_cast<const Bf16*>(gradient[slot])[i]) : static_cast<const float*>(gradient[slot])[i];
  }

  TFJS_DEVICE int slotOf(int64_t block) const {
    int low = 0, high = count;  // the slot lies in [low, high)
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      if (firstBlock[middle] <= block) low = middle;
      else high = middle;
    }
    return low;
  }
};

struct AdamWSquares {
  AdamWTable table;
  float* partial;  // one per block

  TFJS_DEVICE void operator()(const Thread& at) const {
    const int slot = table.slotOf(at.block());
    const int64_t first = (at.block() - table.firstBlock[slot]) * adamWBlock;
    const int64_t end = first + adamWBlock < table.size[slot] ? first + adamWBlock : table.size[slot];
    float sum = 0.0f;
    for (int64_t i = first + at.thread(); i < end; i += at.threads()) {
      const float g = table.gradientAt(slot, i);
      sum += g * g;
    }
    sum = sumOfBlock(at, sum);
    if (at.thread() == 0) partial[at.block()] = sum;
  }
};

// One block: the length of all gradients after gradScale.
struct AdamWNorm {
  const float *partial, *scalars;
  int64_t count;
  float* norm;

  TFJS_DEVICE void operator()(const Thread& at) const {
    double sum = 0;
    for (int64_t i = at.thread(); i < count; i += at.threads()) sum += partial[i];
    sum = sumOfBlock(at, sum);
    const double scale = scalars[9];
    if (at.thread() == 0) *norm = static_cast<float>(sqrt(sum) * (scale < 0 ? -scale : scale));
  }
};

struct AdamWUpdate {
  AdamWTable table;
  const float *scalars, *norm;

  TFJS_DEVICE void operator()(const Thread& at) const {
    if (!isFinite(*norm)) return;
    const float learningRate = scalars[0], beta1 = scalars[1], beta2 = scalars[2], epsilon = scalars[3];
    const float step = learningRate / scalars[5], correction2 = 1.0f / scalars[6], average = scalars[7];
    const float limit = scalars[8] / (*norm + 1e-6f), clip = scalars[9] * (limit < 1.0f ? limit : 1.0f);
    const int slot = table.slotOf(at.block());
    const float kept = table.decay[slot] ? 1.0f - learningRate * scalars[4] : 1.0f;
    const int64_t first = (at.block() - table.firstBlock[slot]) * adamWBlock;
    const int64_t end = first + adamWBlock < table.size[slot] ? first + adamWBlock : table.size[slot];
    float* ema = table.ema[slot];
    Bf16* copy = table.copy[slot];
    for (int64_t i = first + at.thread(); i < end; i += at.threads()) {
      const float g = table.gradientAt(slot, i) * clip;
      const float m = beta1 * table.m[slot][i] + (1.0f - beta1) * g;
      const float v = beta2 * table.v[slot][i] + (1.0f - beta2) * g * g;
      const float w = table.variable[slot][i] * kept - step * m / (sqrtf(v * correction2) + epsilon);
      table.m[slot][i] = m;
      table.v[slot][i] = v;
      table.variable[slot][i] = w;
      if (ema) ema[i] = average * ema[i] + (1.0f - average) * w;
      if (copy) fromFloat(w, copy[i]);
    }
  }
};

}  // namespace tfjs_torch
