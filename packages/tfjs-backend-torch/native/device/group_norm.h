// GroupNorm (+ modulation, + silu) of channels-last [n, rows, channels]. A thread has V neighbouring channels and walks down
// its rows; a block has all channels of a chunk of one example's rows. Forward: sums of each chunk, statistics, result.
// Backward: channel sums of each chunk, over chunks, over groups and examples, result.
#pragma once
#include "thread.h"

namespace tfjs_torch {

struct GroupNormPlan {
  int64_t n, rows, rowsEach;  // rowsEach: rows of a chunk
  int channels, groups, width;  // width = channels / groups
  int lanes, rowsAtOnce, chunks;  // lanes: threads along a row; a block is lanes * rowsAtOnce threads; chunks per example

  TFJS_DEVICE int64_t example(const Thread& at) const { return at.block() / chunks; }
  TFJS_DEVICE int firstChannel(const Thread& at, int V) const { return at.thread() % lanes * V; }
  TFJS_DEVICE int64_t firstRow(const Thread& at) const { return at.block() % chunks * rowsEach + at.thread() / lanes; }
  TFJS_DEVICE int64_t endRow(const Thread& at) const {
    const int64_t end = (at.block() % chunks + 1) * rowsEach;
    return end < rows ? end : rows;
  }
  TFJS_DEVICE int64_t offset(const Thread& at, int64_t row, int V) const {
    return (example(at) * rows + row) * channels + firstChannel(at, V);
  }
};

// gamma, beta [channels]; scale, shift [n, channels] or null; stats [n, groups, 2] = mean, 1 / sqrt(variance + epsilon)
struct GroupNormInputs {
  const float *gamma, *beta, *scale, *shift, *stats;
};
// xhat = (x - mean) rstd; u = xhat weight + bias; y = u or silu(u)
struct GroupNormChannel {
  float mean, rstd, weight, bias;
};
TFJS_DEVICE GroupNormChannel channelOf(const GroupNormPlan& plan, const GroupNormInputs& in, int64_t example, int c) {
  const float* stats = in.stats + (example * plan.groups + c / plan.width) * 2;
  const float more = in.scale ? 1.0f + in.scale[example * plan.channels + c] : 1.0f;
  GroupNormChannel channel;
  channel.mean = stats[0];
  channel.rstd = stats[1];
  channel.weight = in.gamma[c] * more;
  channel.bias = in.beta[c] * more + (in.shift ? in.shift[example * plan.channels + c] : 0.0f);
  return channel;
}

// Every thread's two numbers per channel, laid out [rowsAtOnce, channels, 2] in shared memory.
template <int V>
TFJS_DEVICE void shareSums(const GroupNormPlan& plan, const Thread& at, const float (&first)[V], const float (&second)[V]) {
  const auto to = at.shared + (at.thread() / plan.lanes * plan.channels + plan.firstChannel(at, V)) * 2;
  TFJS_UNROLL for (int i = 0; i < V; i++) {
    to[2 * i] = first[i];
    to[2 * i + 1] = second[i];
  }
}

// partial [n, chunks, groups, 2]: sums of x - pivot and of its square, the pivot being the group's first value.
template <class X, int V>
struct GroupNormPartial {
  GroupNormPlan plan;
  const X* x;
  float* partial;

  TFJS_DEVICE void operator()(const Thread& at) const {
    float pivot[V], sum[V], square[V];
    const int c = plan.firstChannel(at, V);
    TFJS_UNROLL for (int i = 0; i < V; i++) {
      pivot[i] = toFloat(x[plan.example(at) * plan.rows * plan.channels + (c + i) / plan.width * plan.width]);
      sum[i] = square[i] = 0.0f;
    }
    for (int64_t row = plan.firstRow(at), end = plan.endRow(at); row < end; row += plan.rowsAtOnce) {
      float value[V];
      load<X, V>(x + plan.offset(at, row, V), value);
      TFJS_UNROLL for (int i = 0; i < V; i++) {
        const float d = value[i] - pivot[i];
        sum[i] += d;
        square[i] += d * d;
      }
    }
    shareSums<V>(plan, at, sum, square);
    at.barrier();
    for (int g = at.thread(); g < plan.groups; g += at.threads()) {
      float total = 0.0f, squares = 0.0f;
      for (int r = 0; r < plan.rowsAtOnce; r++) {
        const auto from = at.shared + (r * plan.channels + g * plan.width) * 2;
        for (int i = 0; i < plan.width; i++) {
          total += from[2 * i];
          squares += from[2 * i + 1];
        }
      }
      float* to = partial + (at.block() * plan.groups + g) * 2;
      to[0] = total;
      to[1] = squares;
    }
  }
};

// One block of 32 threads per example and group: stats from the chunks' sums.
template <class X>
struct GroupNormStats {
  GroupNormPlan plan;
  const X* x;
  const float* partial;
  float epsilon;
  float* stats;

  TFJS_DEVICE void operator()(const Thread& at) const {
    const int64_t example = at.block() / plan.groups;
    const int g = static_cast<int>(at.block() % plan.groups);
    const auto shared = at.sharedAs<double>();
    double sum = 0, square = 0;
    for (int chunk = at.thread(); chunk < plan.chunks; chunk += at.threads()) {
      const float* from = partial + ((example * plan.chunks + chunk) * plan.groups + g) * 2;
      sum += from[0];
      square += from[1];
    }
    shared[2 * at.thread()] = sum;
    shared[2 * at.thread() + 1] = square;
    at.barrier();
    if (at.thread() > 0) return;
    for (int i = 1; i < at.threads(); i++) {
      sum += shared[2 * i];
      square += shared[2 * i + 1];
    }
    const double count = static_cast<double>(plan.rows) * plan.width, mean = sum / count;
    double variance = square / count - mean * mean;
    if (variance < 0) variance = 0;
    const double pivot = toFloat(x[example * plan.rows * plan.channels + g * plan.width]);
    stats[2 * at.block()] = static_cast<float>(mean + pivot);
    stats[2 * at.block() + 1] = static_cast<float>(1.0 / sqrt(variance + epsilon));
  }
};

template <class X, int V>
struct GroupNormApply {
  GroupNormPlan plan;
  GroupNormInputs in;
  const X* x;
  bool silu;
  X* y;

  TFJS_DEVICE void operator()(const Thread& at) const {
    float mean[V], a[V], b[V];
    TFJS_UNROLL for (int i = 0; i < V; i++) {
      const GroupNormChannel channel = channelOf(plan, in, plan.example(at), plan.firstChannel(at, V) + i);
      mean[i] = channel.mean;
      a[i] = channel.rstd * channel.weight;
      b[i] = channel.bias;
    }
    // Several rows are read before the first is written: the wait for memory is paid once for all.
    constexpr int together = 4;
    const int64_t step = plan.rowsAtOnce, end = plan.endRow(at);
    for (int64_t row = plan.firstRow(at); row < end; row += together * step) {
      float value[together][V];
      TFJS_UNROLL for (int r = 0; r < together; r++) {
        if (row + r * step < end) load<X, V>(x + plan.offset(at, row + r * step, V), value[r]);
      }
      TFJS_UNROLL for (int r = 0; r < together; r++) {
        if (row + r * step >= end) break;
        TFJS_UNROLL for (int i = 0; i < V; i++) {
          const float u = (value[r][i] - mean[i]) * a[i] + b[i];
          value[r][i] = silu ? u * sigmoidOf(u) : u;
        }
        store<X, V>(value[r], y + plan.offset(at, row + r * step, V));
      }
    }
  }
};

// du = dy silu'(u)
TFJS_DEVICE float beforeSilu(float dy, float u, bool silu) {
  if (!silu) return dy;
  const float s = sigmoidOf(u);
  return dy * s * (1.0f + u * (1.0f - s));
}

// partial [n, chunks, channels, 2]: sums of du and of du xhat.
template <class X, class D, int V>
struct GroupNormGradPartial {
  GroupNormPlan plan;
  GroupNormInputs in;
  const X* x;
  const D* dy;
  bool silu;
  float* partial;

  TFJS_DEVICE void operator()(const Thread& at) const {
    GroupNormChannel channel[V];
    float sum[V], product[V];
    TFJS_UNROLL for (int i = 0; i < V; i++) {
      channel[i] = channelOf(plan, in, plan.example(at), plan.firstChannel(at, V) + i);
      sum[i] = product[i] = 0.0f;
    }
    for (int64_t row = plan.firstRow(at), end = plan.endRow(at); row < end; row += plan.rowsAtOnce) {
      float value[V], slope[V];
      load<X, V>(x + plan.offset(at, row, V), value);
      load<D, V>(dy + plan.offset(at, row, V), slope);
      TFJS_UNROLL for (int i = 0; i < V; i++) {
        const float xhat = (value[i] - channel[i].mean) * channel[i].rstd;
        const float du = beforeSilu(slope[i], xhat * channel[i].weight + channel[i].bias, silu);
        sum[i] += du;
        product[i] += du * xhat;
      }
    }
    shareSums<V>(plan, at, sum, product);
    at.barrier();
    for (int i = at.thread(); i < 2 * plan.channels; i += at.threads()) {
      float total = 0.0f;
      for (int r = 0; r < plan.rowsAtOnce; r++) total += at.shared[r * plan.channels * 2 + i];
      partial[at.block() * plan.channels * 2 + i] = total;
    }
  }
};

// Blocks of 256 threads, 8 to each of 32 numbers of [n, channels, 2]: sums over chunks; dscale and dshift where given.
struct GroupNormGradSums {
  GroupNormPlan plan;
  GroupNormInputs in;
  const float* partial;
  float *sums, *dscale, *dshift;

  TFJS_DEVICE void operator()(const Thread& at) const {
    const int64_t perExample = 2 * static_cast<int64_t>(plan.channels);
    const int64_t index = at.block() * 32 + at.thread() % 32;
    const auto shared = at.sharedAs<double>();
    const bool live = index < plan.n * perExample;
    double sum = 0;
    if (live) {
      const float* from = partial + index / perExample * plan.chunks * perExample + index % perExample;
      for (int chunk = at.thread() / 32; chunk < plan.chunks; chunk += 8) sum += from[chunk * perExample];
    }
    shared[at.thread()] = sum;
    at.barrier();
    if (at.thread() < 32 && live) {
      for (int i = 1; i < 8; i++) sum += shared[at.thread() + 32 * i];
      sums[index] = static_cast<float>(sum);
    }
    if (at.thread() < 32) shared[at.thread()] = sum;
    at.barrier();
    // A channel's two sums lie side by side.
    if (dscale && at.thread() < 32 && live && index % 2 == 0) {
      const double first = shared[at.thread()], product = shared[at.thread() + 1];
      const int c = static_cast<int>(index / 2 % plan.channels);
      dscale[index / 2] = static_cast<float>(in.gamma[c] * product + in.beta[c] * first);
      dshift[index / 2] = static_cast<float>(first);
    }
  }
};

// Blocks of 32 threads. The first n * groups: groupSums [n, groups, 2] of weight du and weight du xhat. With dgamma and
// dbeta, one more for every 32 channels: their sums over examples.
struct GroupNormGradGroups {
  GroupNormPlan plan;
  GroupNormInputs in;
  const float* sums;
  float *groupSums, *dgamma, *dbeta;

  TFJS_DEVICE void operator()(const Thread& at) const {
    if (at.block() < plan.n * plan.groups) ofGroup(at);
    else ofChannel(static_cast<int>(at.block() - plan.n * plan.groups) * 32 + at.thread());
  }
  TFJS_DEVICE void ofGroup(const Thread& at) const {
    const int64_t example = at.block() / plan.groups;
    const int first = static_cast<int>(at.block() % plan.groups) * plan.width;
    float sum = 0.0f, product = 0.0f;
    for (int c = first + at.thread(); c < first + plan.width; c += at.threads()) {
      const float weight = channelOf(plan, in, example, c).weight;
      sum += weight * sums[(example * plan.channels + c) * 2];
      product += weight * sums[(example * plan.channels + c) * 2 + 1];
    }
    sum = at.sum(sum, 32);
    product = at.sum(product, 32);
    if (at.thread() > 0) return;
    groupSums[2 * at.block()] = sum;
    groupSums[2 * at.block() + 1] = product;
  }
  TFJS_DEVICE void ofChannel(int c) const {
    if (c >= plan.channels) return;
    double first = 0, second = 0;
    for (int64_t example = 0; example < plan.n; example++) {
      const double more = in.scale ? 1.0 + in.scale[example * plan.channels + c] : 1.0;
      first += more * sums[(example * plan.channels + c) * 2];
      second += more * sums[(example * plan.channels + c) * 2 + 1];
    }
    dbeta[c] = static_cast<float>(first);
    dgamma[c] = static_cast<float>(second);
  }
};

// dx = rstd (weight du - mean - xhat mean of products), plus `onto` where given
template <class X, class D, int V>
struct GroupNormGradApply {
  GroupNormPlan plan;
  GroupNormInputs in;
  const X* x;
  const D* dy;
  const float* groupSums;
  bool silu;
  const X* onto;
  X* dx;

  TFJS_DEVICE void operator()(const Thread& at) const {
    GroupNormChannel channel[V];
    float mean[V], product[V];
    const float count = static_cast<float>(plan.rows) * static_cast<float>(plan.width);
    TFJS_UNROLL for (int i = 0; i < V; i++) {
      const int c = plan.firstChannel(at, V) + i;
      channel[i] = channelOf(plan, in, plan.example(at), c);
      const float* from = groupSums + (plan.example(at) * plan.groups + c / plan.width) * 2;
      mean[i] = from[0] / count;
      product[i] = from[1] / count;
    }
    constexpr int together = 2;
    const int64_t step = plan.rowsAtOnce, end = plan.endRow(at);
    for (int64_t row = plan.firstRow(at); row < end; row += together * step) {
      float value[together][V], slope[together][V];
      TFJS_UNROLL for (int r = 0; r < together; r++) {
        if (row + r * step >= end) break;
        load<X, V>(x + plan.offset(at, row + r * step, V), value[r]);
        load<D, V>(dy + plan.offset(at, row + r * step, V), slope[r]);
      }
      TFJS_UNROLL for (int r = 0; r < together; r++) {
        if (row + r * step >= end) break;
        TFJS_UNROLL for (int i = 0; i < V; i++) {
          const float xhat = (value[r][i] - channel[i].mean) * channel[i].rstd;
          const float du = beforeSilu(slope[r][i], xhat * channel[i].weight + channel[i].bias, silu);
          value[r][i] = channel[i].rstd * (channel[i].weight * du - mean[i] - xhat * product[i]);
        }
        if (onto) {
          load<X, V>(onto + plan.offset(at, row + r * step, V), slope[r]);
          TFJS_UNROLL for (int i = 0; i < V; i++) value[r][i] += slope[r][i];
        }
        store<X, V>(value[r], dx + plan.offset(at, row + r * step, V));
      }
    }
  }
};

}  // namespace tfjs_torch
