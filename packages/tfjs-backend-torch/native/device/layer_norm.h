// LayerNorm over the last axis of [rows, channels]. A row belongs to 32 neighbouring threads, which read it twice: the second
// time it is in the cache.
#pragma once
#include "thread.h"

namespace tfjs_torch {

struct LayerNormPlan {
  int64_t rows, rowsEach;  // rowsEach: rows of a chunk, of which LayerNormColumns makes sums
  int channels, lanes, rowsAtOnce;  // of LayerNormColumns: lanes * rowsAtOnce threads

  TFJS_DEVICE int64_t row(const Thread& at) const { return at.block() * (at.threads() / 32) + at.thread() / 32; }
};

// stats [rows, 2] = mean, 1 / sqrt(variance + epsilon)
template <class X, int V>
struct LayerNormForward {
  LayerNormPlan plan;
  const X* x;
  const float *gamma, *beta;
  float epsilon;
  float* stats;
  X* y;

  TFJS_DEVICE void operator()(const Thread& at) const {
    const int64_t row = plan.row(at);
    const bool live = row < plan.rows;
    const X* from = x + (live ? row : 0) * plan.channels;
    // Sums of what is left after the row's first value is taken away, so that nothing is lost where the mean is large.
    const float pivot = toFloat(from[0]);
    float sum = 0.0f, square = 0.0f;
    for (int c = at.thread() % 32 * V; c < plan.channels; c += 32 * V) {
      float value[V];
      load<X, V>(from + c, value);
      TFJS_UNROLL for (int v = 0; v < V; v++) {
        const float d = value[v] - pivot;
        sum += d;
        square += d * d;
      }
    }
    sum = at.sum(sum, 32) / static_cast<float>(plan.channels);
    square = at.sum(square, 32) / static_cast<float>(plan.channels);
    if (!live) return;
    const float variance = square - sum * sum, mean = sum + pivot;
    const float rstd = 1.0f / sqrtf((variance > 0.0f ? variance : 0.0f) + epsilon);
    if (at.thread() % 32 == 0) {
      stats[2 * row] = mean;
      stats[2 * row + 1] = rstd;
    }
    for (int c = at.thread() % 32 * V; c < plan.channels; c += 32 * V) {
      float value[V], weight[V], bias[V];
      load<X, V>(from + c, value);
      load<float, V>(gamma + c, weight);
      load<float, V>(beta + c, bias);
      TFJS_UNROLL for (int v = 0; v < V; v++) value[v] = (value[v] - mean) * rstd * weight[v] + bias[v];
      store<X, V>(value, y + row * plan.channels + c);
    }
  }
};

// dx = rstd (gamma dy - mean of it - xhat mean of it xhat), plus `onto` where given
template <class X, class D, int V>
struct LayerNormBackward {
  LayerNormPlan plan;
  const D* dy;
  const X* x;
  const float *gamma, *stats;
  const X* onto;
  X* dx;

  TFJS_DEVICE void operator()(const Thread& at) const {
    const int64_t row = plan.row(at);
    const bool live = row < plan.rows;
    const int64_t from = (live ? row : 0) * plan.channels;
    const float mean = stats[live ? 2 * row : 0], rstd = stats[live ? 2 * row + 1 : 1];
    float sum = 0.0f, product = 0.0f;
    for (int c = at.thread() % 32 * V; c < plan.channels; c += 32 * V) {
      float value[V], slope[V], weight[V];
      load<X, V>(x + from + c, value);
      load<D, V>(dy + from + c, slope);
      load<float, V>(gamma + c, weight);
      TFJS_UNROLL for (int v = 0; v < V; v++) {
        const float d = slope[v] * weight[v];
        sum += d;
        product += d * (value[v] - mean) * rstd;
      }
    }
    sum = at.sum(sum, 32) / static_cast<float>(plan.channels);
    product = at.sum(product, 32) / static_cast<float>(plan.channels);
    if (!live) return;
    for (int c = at.thread() % 32 * V; c < plan.channels; c += 32 * V) {
      float value[V], slope[V], weight[V];
      load<X, V>(x + from + c, value);
      load<D, V>(dy + from + c, slope);
      load<float, V>(gamma + c, weight);
      TFJS_UNROLL for (int v = 0; v < V; v++)
        value[v] = rstd * (slope[v] * weight[v] - sum - (value[v] - mean) * rstd * product);
      if (onto) {
        load<X, V>(onto + from + c, slope);
        TFJS_UNROLL for (int v = 0; v < V; v++) value[v] += slope[v];
      }
      store<X, V>(value, dx + from + c);
    }
  }
};

// partial [2, chunks, channels]: sums over a chunk's rows of dy xhat, then of dy.
template <class X, class D, int V>
struct LayerNormColumns {
  LayerNormPlan plan;
  const D* dy;
  const X* x;
  const float* stats;
  int64_t chunks;
  float* partial;

  TFJS_DEVICE void operator()(const Thread& at) const {
    const int c = at.thread() % plan.lanes * V, mine = at.thread() / plan.lanes;
    const int64_t end = (at.block() + 1) * plan.rowsEach < plan.rows ? (at.block() + 1) * plan.rowsEach : plan.rows;
    float sum[V], product[V];
    TFJS_UNROLL for (int v = 0; v < V; v++) sum[v] = product[v] = 0.0f;
    for (int64_t row = at.block() * plan.rowsEach + mine; row < end; row += plan.rowsAtOnce) {
      float value[V], slope[V];
      load<X, V>(x + row * plan.channels + c, value);
      load<D, V>(dy + row * plan.channels + c, slope);
      const float mean = stats[2 * row], rstd = stats[2 * row + 1];
      TFJS_UNROLL for (int v = 0; v < V; v++) {
        sum[v] += slope[v];
        product[v] += slope[v] * (value[v] - mean) * rstd;
      }
    }
    const auto shared = at.shared + 2 * (mine * plan.channels + c);
    TFJS_UNROLL for (int v = 0; v < V; v++) {
      shared[2 * v] = product[v];
      shared[2 * v + 1] = sum[v];
    }
    at.barrier();
    for (int i = at.thread(); i < 2 * plan.channels; i += at.threads()) {
      float total = 0.0f;
      for (int r = 0; r < plan.rowsAtOnce; r++) total += at.shared[r * plan.channels * 2 + i];
      partial[(i % 2 * chunks + at.block()) * plan.channels + i / 2] = total;
    }
  }
};

}  // namespace tfjs_torch
