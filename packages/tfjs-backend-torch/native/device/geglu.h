// value * gelu(gate) of rows [value, gate], each `width` wide; gelu by the error function.
#pragma once
#include "thread.h"

namespace tfjs_torch {

struct GegluPlan {
  int64_t rows, width;

  // The place in x of the V values that a thread has, and in y; false where it has none.
  template <int V>
  TFJS_DEVICE bool place(const Thread& at, int64_t& inX, int64_t& inY) const {
    inY = (at.block() * at.threads() + at.thread()) * V;
    inX = inY / width * 2 * width + inY % width;
    return inY < rows * width;
  }
};
TFJS_DEVICE float normalBelow(float x) { return 0.5f * (1.0f + erff(x * 0.70710678f)); }

template <class X, int V>
struct GegluForward {
  GegluPlan plan;
  const X* x;
  X* y;

  TFJS_DEVICE void operator()(const Thread& at) const {
    int64_t inX, inY;
    if (!plan.place<V>(at, inX, inY)) return;
    float value[V], gate[V];
    load<X, V>(x + inX, value);
    load<X, V>(x + inX + plan.width, gate);
    TFJS_UNROLL for (int v = 0; v < V; v++) value[v] *= gate[v] * normalBelow(gate[v]);
    store<X, V>(value, y + inY);
  }
};

template <class X, class D, int V>
struct GegluBackward {
  GegluPlan plan;
  const D* dy;
  const X* x;
  X* dx;

  TFJS_DEVICE void operator()(const Thread& at) const {
    int64_t inX, inY;
    if (!plan.place<V>(at, inX, inY)) return;
    float slope[V], value[V], gate[V];
    load<D, V>(dy + inY, slope);
    load<X, V>(x + inX, value);
    load<X, V>(x + inX + plan.width, gate);
    TFJS_UNROLL for (int v = 0; v < V; v++) {
      const float g = gate[v], below = normalBelow(g), density = 0.39894228f * expf(-0.5f * g * g);
      gate[v] = slope[v] * value[v] * (below + g * density);
      value[v] = slope[v] * g * below;
    }
    store<X, V>(value, dx + inX);
    store<X, V>(gate, dx + inX + plan.width);
  }
};

}  // namespace tfjs_torch
