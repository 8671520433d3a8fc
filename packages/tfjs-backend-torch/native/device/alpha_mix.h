// a spatial + (1 - a) temporal, a = sigmoid(factor) or, switched, sigmoid(-factor), one factor for all or one for each frame.
// Values that share a factor lie together: a group of `width` values; a block has a chunk of one.
#pragma once
#include "thread.h"

namespace tfjs_torch {

struct AlphaMixPlan {
  int64_t groups, width, each;  // each: values of a chunk
  int factors, chunks;  // chunks per group
  bool switched;

  TFJS_DEVICE int factorOf(const Thread& at) const { return static_cast<int>(at.block() / chunks % factors); }
  TFJS_DEVICE float share(const float* factor, int i) const { return sigmoidOf(switched ? -factor[i] : factor[i]); }
  // Of the values from `first` on that this thread has, V at a time.
  TFJS_DEVICE int64_t first(const Thread& at, int V) const { return at.block() % chunks * each + at.thread() * V; }
  TFJS_DEVICE int64_t end(const Thread& at) const {
    const int64_t end = (at.block() % chunks + 1) * each;
    return end < width ? end : width;
  }
  TFJS_DEVICE int64_t base(const Thread& at) const { return at.block() / chunks * width; }
};

template <class X, int V>
struct AlphaMixForward {
  AlphaMixPlan plan;
  const X *spatial, *temporal;
  const float* factor;
  X* y;

  TFJS_DEVICE void operator()(const Thread& at) const {
    const float a = plan.share(factor, plan.factorOf(at));
    const int64_t base = plan.base(at), end = plan.end(at);
    for (int64_t i = plan.first(at, V); i < end; i += at.threads() * V) {
      float s[V], t[V];
      load<X, V>(spatial + base + i, s);
      load<X, V>(temporal + base + i, t);
      // Where a is 1 the other branch does not count, be it infinite.
      TFJS_UNROLL for (int v = 0; v < V; v++) s[v] = a == 1.0f ? s[v] : s[v] * a + t[v] * (1.0f - a);
      store<X, V>(s, y + base + i);
    }
  }
};

// Also, where wanted, partial [groups, chunks]: sums of dy (spatial - temporal).
template <class X, class D, int V>
struct AlphaMixBackward {
  AlphaMixPlan plan;
  const D* dy;
  const X *spatial, *temporal;
  const float* factor;
  X *dspatial, *dtemporal;
  float* partial;

  TFJS_DEVICE void operator()(const Thread& at) const {
    const float a = plan.share(factor, plan.factorOf(at));
    const int64_t base = plan.base(at), end = plan.end(at);
    float sum = 0.0f;
    for (int64_t i = plan.first(at, V); i < end; i += at.threads() * V) {
      float slope[V], s[V], t[V];
      load<D, V>(dy + base + i, slope);
      if (partial) {
        load<X, V>(spatial + base + i, s);
        load<X, V>(temporal + base + i, t);
        TFJS_UNROLL for (int v = 0; v < V; v++) sum += slope[v] * (s[v] - t[v]);
      }
      TFJS_UNROLL for (int v = 0; v < V; v++) {
        s[v] = slope[v] * a;
        t[v] = slope[v] * (1.0f - a);
      }
      store<X, V>(s, dspatial + base + i);
      store<X, V>(t, dtemporal + base + i);
    }
    if (!partial) return;
    sum = sumOfBlock(at, sum);
    if (at.thread() == 0) partial[at.block()] = sum;
  }
};

// A block for each factor: its gradient.
struct AlphaMixFactorGrad {
  AlphaMixPlan plan;
  const float *partial, *factor;
  float* dfactor;

  TFJS_DEVICE void operator()(const Thread& at) const {
    const int mine = static_cast<int>(at.block());
    double sum = 0;
    for (int64_t group = mine; group < plan.groups; group += plan.factors) {
      for (int chunk = at.thread(); chunk < plan.chunks; chunk += at.threads()) sum += partial[group * plan.chunks + chunk];
    }
    sum = sumOfBlock(at, sum);
    if (at.thread() > 0) return;
    const float a = plan.share(factor, mine), slope = a * (1.0f - a);
    dfactor[mine] = static_cast<float>(sum) * (plan.switched ? -slope : slope);
  }
};

}  // namespace tfjs_torch
