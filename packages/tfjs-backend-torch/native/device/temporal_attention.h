// Attention over T short frames of [batch, T, pixels, heads * width] as it lies. One pixel and head is a unit: L neighbouring
// threads hold V channels each of all its frames' keys and values in registers, and take one query frame after another.
// L = 0 takes the number of threads from the plan.
#pragma once
#include "thread.h"

namespace tfjs_torch {

struct TemporalPlan {
  int64_t batch, pixels, window;  // window: largest |i - j| attended
  int heads, width, lanes;

  TFJS_DEVICE int64_t units() const { return batch * pixels * heads; }
  TFJS_DEVICE int64_t frameStride() const { return pixels * heads * width; }
  // Where a unit's channels from c on begin, in frame 0.
  TFJS_DEVICE int64_t offset(int64_t unit, int frames, int c) const {
    const int64_t pixel = unit / heads;
    return (pixel / pixels * frames * pixels + pixel % pixels) * heads * width + unit % heads * width + c;
  }
};

template <int L>
TFJS_DEVICE int lanesOf(const TemporalPlan& plan) { return L > 0 ? L : plan.lanes; }

template <int T, int V, int L>
struct TemporalLane {
  int64_t at;  // offset in frame 0
  bool live;  // has channels of a unit

  TFJS_DEVICE TemporalLane(const TemporalPlan& plan, const Thread& thread) {
    const int64_t unit = (thread.block() * thread.threads() + thread.thread()) / lanesOf<L>(plan);
    const int c = thread.thread() % lanesOf<L>(plan) * V;
    live = unit < plan.units() && c < plan.width;
    at = live ? plan.offset(unit, T, c) : 0;
  }
  template <class X>
  TFJS_DEVICE void read(const TemporalPlan& plan, const X* x, int frame, float (&to)[V]) const {
    if (live) {
      load<X, V>(x + at + frame * plan.frameStride(), to);
    } else {
      TFJS_UNROLL for (int c = 0; c < V; c++) to[c] = 0.0f;
    }
  }
  template <class X>
  TFJS_DEVICE void write(const TemporalPlan& plan, const float (&from)[V], int frame, X* x) const {
    if (live) store<X, V>(from, x + at + frame * plan.frameStride());
  }
};

template <int V>
TFJS_DEVICE float dot(const float (&a)[V], const float (&b)[V]) {
  float sum = 0.0f;
  TFJS_UNROLL for (int c = 0; c < V; c++) sum += a[c] * b[c];
  return sum;
}

// Probabilities of frame i's window, in every lane.
template <int T, int V, int L>
TFJS_DEVICE void attend(const TemporalPlan& plan, const Thread& thread, int i, const float (&q)[V], const float (&k)[T][V],
                        float (&p)[T]) {
  const float scale = 1.0f / sqrtf(static_cast<float>(plan.width));
  float top = -3.0e38f, total = 0.0f;
  TFJS_UNROLL for (int j = 0; j < T; j++) {
    p[j] = thread.sum(dot<V>(q, k[j]), lanesOf<L>(plan)) * scale;
    if (i - j <= plan.window && j - i <= plan.window && p[j] > top) top = p[j];
  }
  TFJS_UNROLL for (int j = 0; j < T; j++) {
    p[j] = i - j <= plan.window && j - i <= plan.window ? expf(p[j] - top) : 0.0f;
    total += p[j];
  }
  TFJS_UNROLL for (int j = 0; j < T; j++) p[j] /= total;
}

template <class X, int T, int V, int L>
struct TemporalForward {
  TemporalPlan plan;
  const X *q, *k, *v;
  X* y;

  TFJS_DEVICE void operator()(const Thread& thread) const {
    const TemporalLane<T, V, L> lane(plan, thread);
    float keys[T][V], values[T][V];
    TFJS_UNROLL for (int j = 0; j < T; j++) {
      lane.read(plan, k, j, keys[j]);
      lane.read(plan, v, j, values[j]);
    }
    TFJS_KEEP_LOOP for (int i = 0; i < T; i++) {
      float query[V], p[T], out[V];
      lane.read(plan, q, i, query);
      attend<T, V, L>(plan, thread, i, query, keys, p);
      TFJS_UNROLL for (int c = 0; c < V; c++) {
        out[c] = 0.0f;
        TFJS_UNROLL for (int j = 0; j < T; j++) out[c] += p[j] * values[j][c];
      }
      lane.write(plan, out, i, y);
    }
  }
};

// Computes the probabilities again: nothing is kept from the forward pass.
template <class X, class D, int T, int V, int L>
struct TemporalBackward {
  TemporalPlan plan;
  const D* dy;
  const X *q, *k, *v;
  X *dq, *dk, *dv;

  TFJS_DEVICE void operator()(const Thread& thread) const {
    const TemporalLane<T, V, L> lane(plan, thread);
    const float scale = 1.0f / sqrtf(static_cast<float>(plan.width));
    float keys[T][V], values[T][V], keySlopes[T][V], valueSlopes[T][V];
    TFJS_UNROLL for (int j = 0; j < T; j++) {
      lane.read(plan, k, j, keys[j]);
      lane.read(plan, v, j, values[j]);
      TFJS_UNROLL for (int c = 0; c < V; c++) keySlopes[j][c] = valueSlopes[j][c] = 0.0f;
    }
    TFJS_KEEP_LOOP for (int i = 0; i < T; i++) {
      float query[V], slope[V], p[T], dp[T], out[V];
      lane.read(plan, q, i, query);
      lane.read(plan, dy, i, slope);
      attend<T, V, L>(plan, thread, i, query, keys, p);
      float mean = 0.0f;
      TFJS_UNROLL for (int j = 0; j < T; j++) {
        dp[j] = thread.sum(dot<V>(slope, values[j]), lanesOf<L>(plan));
        mean += p[j] * dp[j];
      }
      TFJS_UNROLL for (int c = 0; c < V; c++) out[c] = 0.0f;
      TFJS_UNROLL for (int j = 0; j < T; j++) {
        const float ds = p[j] * (dp[j] - mean) * scale;
        TFJS_UNROLL for (int c = 0; c < V; c++) {
          out[c] += ds * keys[j][c];
          keySlopes[j][c] += ds * query[c];
          valueSlopes[j][c] += p[j] * slope[c];
        }
      }
      lane.write(plan, out, i, dq);
    }
    TFJS_UNROLL for (int j = 0; j < T; j++) {
      lane.write(plan, keySlopes[j], j, dk);
      lane.write(plan, valueSlopes[j], j, dv);
    }
  }
};

}  // namespace tfjs_torch
