// Sums over rows: x [n, rows, channels] -> [n, channels], float32. Blocks sum chunks of rows; where there are several chunks, their
// sums are added up by a second kernel, in their order, so that the same rows give the same bytes.
#pragma once
#include "thread.h"

namespace tfjs_torch {

struct ColumnPlan {
  int64_t rows, rowsEach, chunks;  // rowsEach: of a chunk
  int channels, groups, lanes, rowsAtOnce;  // lanes * rowsAtOnce threads; groups of lanes lie side by side
};

// partial [n, chunks, channels], in n * chunks * groups blocks
template <class X, int V>
struct ColumnSums {
  ColumnPlan plan;
  const X* x;
  float* partial;

  TFJS_DEVICE void operator()(const Thread& at) const {
    const int width = plan.lanes * V, mine = at.thread() / plan.lanes;
    const int from = static_cast<int>(at.block() % plan.groups) * width, c = from + at.thread() % plan.lanes * V;
    const int64_t chunk = at.block() / plan.groups, n = chunk / plan.chunks, first = chunk % plan.chunks * plan.rowsEach;
    const int64_t end = first + plan.rowsEach < plan.rows ? first + plan.rowsEach : plan.rows;
    float sum[V];
    TFJS_UNROLL for (int v = 0; v < V; v++) sum[v] = 0.0f;
    if (c < plan.channels) {
      const X* rows = x + n * plan.rows * plan.channels + c;
      TFJS_UNROLL_4 for (int64_t row = first + mine; row < end; row += plan.rowsAtOnce) {
        float value[V];
        load<X, V>(rows + row * plan.channels, value);
        TFJS_UNROLL for (int v = 0; v < V; v++) sum[v] += value[v];
      }
    }
    const auto shared = at.shared + at.thread() * V;
    TFJS_UNROLL for (int v = 0; v < V; v++) shared[v] = sum[v];
    at.barrier();
    for (int i = at.thread(); i < width && from + i < plan.channels; i += at.threads()) {
      float total = 0.0f;
      for (int r = 0; r < plan.rowsAtOnce; r++) total += at.shared[r * width + i];
      partial[chunk * plan.channels + from + i] = total;
    }
  }
};

// Adds up partial [n, chunks, channels], in blocks of 32 channels.
struct ColumnTotals {
  const float* partial;
  int64_t chunks;
  int channels;
  float *y, *second;  // second: of n = 2, where the second lies elsewhere; otherwise nullptr

  TFJS_DEVICE void operator()(const Thread& at) const {
    const int64_t blocks = (channels + 31) / 32, n = at.block() / blocks;
    const int c = static_cast<int>(at.block() % blocks) * 32 + at.thread() % 32;
    const int mine = at.thread() / 32, atOnce = at.threads() / 32;
    float sum = 0.0f;
    if (c < channels) {
      TFJS_UNROLL_4 for (int64_t chunk = mine; chunk < chunks; chunk += atOnce) sum += partial[(n * chunks + chunk) * channels + c];
    }
    at.shared[at.thread()] = sum;
    at.barrier();
    if (mine > 0 || c >= channels) return;
    float total = 0.0f;
    for (int r = 0; r < atOnce; r++) total += at.shared[r * 32 + c % 32];
    (second && n == 1 ? second : y + n * channels)[c] = total;
  }
};

}  // namespace tfjs_torch
