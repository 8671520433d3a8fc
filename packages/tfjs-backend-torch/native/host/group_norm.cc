// Three passes forward (mean, variance, result), two backward. Sums run over blocks of rows in float32 and over blocks in
// float64, in an order that does not depend on the number of threads.
#include "group_norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "parallel.h"

namespace tfjs_torch {
namespace {

constexpr int64_t blockRows = 64;
using Doubles = std::vector<double>;
using Floats = std::vector<float>;

TFJS_VECTOR void addRows(const float* x, int64_t rows, int64_t channels, float* sums) {
  for (int64_t r = 0; r < rows; r++, x += channels) {
    for (int64_t c = 0; c < channels; c++) sums[c] += x[c];
  }
}
TFJS_VECTOR void addSquares(const float* x, int64_t rows, int64_t channels, const float* mean, float* sums) {
  for (int64_t r = 0; r < rows; r++, x += channels) {
    for (int64_t c = 0; c < channels; c++) sums[c] += (x[c] - mean[c]) * (x[c] - mean[c]);
  }
}
TFJS_VECTOR void scaleRows(const float* x, int64_t rows, int64_t channels, const float* a, const float* b, float* y) {
  for (int64_t r = 0; r < rows; r++, x += channels, y += channels) {
    for (int64_t c = 0; c < channels; c++) y[c] = x[c] * a[c] + b[c];
  }
}
TFJS_VECTOR void scaleRowsSilu(const float* x, int64_t rows, int64_t channels, const float* a, const float* b, float* y) {
  for (int64_t r = 0; r < rows; r++, x += channels, y += channels) {
    for (int64_t c = 0; c < channels; c++) {
      const float u = x[c] * a[c] + b[c];
      y[c] = u / (1.0f + std::exp(-u));
    }
  }
}
// du = dy * silu'(x a + b), its sum and its sum against xhat = x rstd + offset.
TFJS_VECTOR void gradRows(const float* dy, const float* x, int64_t rows, int64_t channels, const float* a, const float* b,
                          const float* rstd, const float* offset, bool silu, float* du, float* sum, float* against) {
  for (int64_t r = 0; r < rows; r++, x += channels, dy += channels, du += channels) {
    if (silu) {
      for (int64_t c = 0; c < channels; c++) {
        const float u = x[c] * a[c] + b[c], s = 1.0f / (1.0f + std::exp(-u));
        du[c] = dy[c] * s * (1.0f + u * (1.0f - s));
      }
    } else {
      for (int64_t c = 0; c < channels; c++) du[c] = dy[c];
    }
    for (int64_t c = 0; c < channels; c++) {
      sum[c] += du[c];
      against[c] += du[c] * (x[c] * rstd[c] + offset[c]);
    }
  }
}
TFJS_VECTOR void finishRows(float* dx, const float* x, int64_t rows, int64_t channels, const float* p, const float* q,
                            const float* r) {
  for (int64_t row = 0; row < rows; row++, x += channels, dx += channels) {
    for (int64_t c = 0; c < channels; c++) dx[c] = dx[c] * p[c] + x[c] * q[c] + r[c];
  }
}

// Blocks of rows are dealt out in at most 16 chunks per example, whatever the number of threads.
struct Chunks {
  GroupNormShape shape;
  int64_t perExample, rowsEach;
  explicit Chunks(GroupNormShape s) : shape(s) {
    const int64_t blocks = (s.rows + blockRows - 1) / blockRows;
    perExample = std::max<int64_t>(1, std::min<int64_t>(16, blocks));
    rowsEach = (blocks + perExample - 1) / perExample * blockRows;
  }
  // body(example, chunk, first row, rows)
  void each(const std::function<void(int64_t, int64_t, int64_t, int64_t)>& body) const {
    const int64_t grain = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, rowsEach * shape.channels));
    parallelFor(shape.n * perExample, grain, [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; i++) {
        const int64_t first = i % perExample * rowsEach, last = std::min(shape.rows, first + rowsEach);
        if (first < last) body(i / perExample, i, first, last - first);
      }
    });
  }
};

// Per example and channel: the sum over rows of what `block` adds up.
template <class Block>
Doubles channelSums(const Chunks& chunks, Block block) {
  const int64_t channels = chunks.shape.channels;
  Doubles partial(chunks.shape.n * chunks.perExample * channels), sums(chunks.shape.n * channels);
  chunks.each([&](int64_t n, int64_t chunk, int64_t first, int64_t rows) {
    Floats blockSums(channels);
    double* target = partial.data() + chunk * channels;
    for (int64_t row = first; row < first + rows; row += blockRows) {
      std::fill(blockSums.begin(), blockSums.end(), 0.0f);
      block(n, row, std::min(blockRows, first + rows - row), blockSums.data());
      for (int64_t c = 0; c < channels; c++) target[c] += blockSums[c];
    }
  });
  for (int64_t chunk = 0; chunk < chunks.shape.n * chunks.perExample; chunk++) {
    for (int64_t c = 0; c < channels; c++) sums[chunk / chunks.perExample * channels + c] += partial[chunk * channels + c];
  }
  return sums;
}
// [n, channels] -> [n, groups]
Doubles groupMeans(const GroupNormShape& s, const Doubles& sums) {
  Doubles means(s.n * s.groups);
  const int64_t width = s.channels / s.groups;
  for (int64_t i = 0; i < s.n * s.channels; i++) means[i / width] += sums[i];
  for (double& mean : means) mean /= static_cast<double>(s.rows * width);
  return means;
}
// y before silu is x * a + b, per example and channel.
void affine(const GroupNormShape& s, const float* stats, const GroupNormWeights& w, Floats& a, Floats& b) {
  const int64_t width = s.channels / s.groups;
  for (int64_t i = 0; i < s.n * s.channels; i++) {
    const float mean = stats[i / width * 2], rstd = stats[i / width * 2 + 1];
    const int64_t c = i % s.channels;
    const float more = w.scale ? 1.0f + w.scale[i] : 1.0f;
    a[i] = rstd * w.gamma[c] * more;
    b[i] = (w.beta[c] - mean * rstd * w.gamma[c]) * more + (w.shift ? w.shift[i] : 0.0f);
  }
}

}  // namespace

void groupNormForward(GroupNormShape s, const float* x, GroupNormWeights weights, float epsilon, bool silu, float* y,
                      float* stats) {
  const Chunks chunks(s);
  const int64_t example = s.rows * s.channels, width = s.channels / s.groups;
  const Doubles means = groupMeans(s, channelSums(chunks, [&](int64_t n, int64_t row, int64_t rows, float* sums) {
    addRows(x + n * example + row * s.channels, rows, s.channels, sums);
  }));
  Floats mean(s.n * s.channels);
  for (size_t i = 0; i < mean.size(); i++) mean[i] = static_cast<float>(means[i / width]);
  const Doubles variances = groupMeans(s, channelSums(chunks, [&](int64_t n, int64_t row, int64_t rows, float* sums) {
    addSquares(x + n * example + row * s.channels, rows, s.channels, mean.data() + n * s.channels, sums);
  }));
  for (size_t i = 0; i < means.size(); i++) {
    stats[2 * i] = static_cast<float>(means[i]);
    stats[2 * i + 1] = static_cast<float>(1.0 / std::sqrt(variances[i] + epsilon));
  }
  Floats a(s.n * s.channels), b(s.n * s.channels);
  affine(s, stats, weights, a, b);
  chunks.each([&](int64_t n, int64_t, int64_t first, int64_t rows) {
    const int64_t at = n * example + first * s.channels, c = n * s.channels;
    (silu ? scaleRowsSilu : scaleRows)(x + at, rows, s.channels, a.data() + c, b.data() + c, y + at);
  });
}

void groupNormBackward(GroupNormShape s, const float* dy, const float* x, const float* stats, GroupNormWeights weights,
                       bool silu, GroupNormGrads grads) {
  const Chunks chunks(s);
  const int64_t example = s.rows * s.channels, width = s.channels / s.groups, count = s.n * s.channels;
  Floats a(count), b(count), rstd(count), offset(count);
  affine(s, stats, weights, a, b);
  for (int64_t i = 0; i < count; i++) {
    rstd[i] = stats[i / width * 2 + 1];
    offset[i] = -stats[i / width * 2] * rstd[i];
  }
  // du goes to dx; both sums come from one pass, the second channel-wise sum beside the first.
  Doubles partial(s.n * chunks.perExample * 2 * s.channels);
  chunks.each([&](int64_t n, int64_t chunk, int64_t first, int64_t rows) {
    Floats sum(s.channels), against(s.channels);
    double* target = partial.data() + chunk * 2 * s.channels;
    for (int64_t row = first; row < first + rows; row += blockRows) {
      std::fill(sum.begin(), sum.end(), 0.0f);
      std::fill(against.begin(), against.end(), 0.0f);
      const int64_t at = n * example + row * s.channels, c = n * s.channels;
      gradRows(dy + at, x + at, std::min(blockRows, first + rows - row), s.channels, a.data() + c, b.data() + c, rstd.data() + c,
               offset.data() + c, silu, grads.dx + at, sum.data(), against.data());
      for (int64_t i = 0; i < s.channels; i++) {
        target[i] += sum[i];
        target[s.channels + i] += against[i];
      }
    }
  });
  Doubles sums(count), products(count);  // over rows: du, du * xhat
  for (int64_t chunk = 0; chunk < s.n * chunks.perExample; chunk++) {
    for (int64_t c = 0; c < s.channels; c++) {
      const int64_t i = chunk / chunks.perExample * s.channels + c;
      sums[i] += partial[chunk * 2 * s.channels + c];
      products[i] += partial[chunk * 2 * s.channels + s.channels + c];
    }
  }
  Doubles dgamma(s.channels), dbeta(s.channels), first(count), second(count);
  for (int64_t i = 0; i < count; i++) {
    const int64_t c = i % s.channels;
    const double more = weights.scale ? 1.0 + weights.scale[i] : 1.0, k = more * weights.gamma[c];
    dgamma[c] += more * products[i];
    dbeta[c] += more * sums[i];
    first[i] = k * sums[i];
    second[i] = k * products[i];
    if (grads.dscale) grads.dscale[i] = static_cast<float>(weights.gamma[c] * products[i] + weights.beta[c] * sums[i]);
    if (grads.dshift) grads.dshift[i] = static_cast<float>(sums[i]);
  }
  for (int64_t c = 0; c < s.channels; c++) {
    if (grads.dgamma) grads.dgamma[c] = static_cast<float>(dgamma[c]);
    if (grads.dbeta) grads.dbeta[c] = static_cast<float>(dbeta[c]);
  }
  // dx = rstd (k du - mean(k du) - xhat mean(k du xhat)) = p du + q x + r
  const Doubles m1 = groupMeans(s, first), m2 = groupMeans(s, second);
  Floats p(count), q(count), r(count);
  for (int64_t i = 0; i < count; i++) {
    const int64_t group = i / width;
    const double mean = stats[2 * group], scale = stats[2 * group + 1];
    p[i] = a[i];
    q[i] = static_cast<float>(-scale * scale * m2[group]);
    r[i] = static_cast<float>(scale * (scale * mean * m2[group] - m1[group]));
  }
  chunks.each([&](int64_t n, int64_t, int64_t row, int64_t rows) {
    const int64_t at = n * example + row * s.channels, c = n * s.channels;
    finishRows(grads.dx + at, x + at, rows, s.channels, p.data() + c, q.data() + c, r.data() + c);
  });
}

}  // namespace tfjs_torch
