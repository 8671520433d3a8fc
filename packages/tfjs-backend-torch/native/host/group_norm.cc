// Three passes forward (mean, variance, result), two backward. Sums run over blocks of rows in float32 and over blocks in
// float64, in an order that does not depend on the number of threads. Examples that fit a core's cache go through all passes
// one after the other, each on one thread; larger ones are split.
#include "group_norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "parallel.h"

namespace tfjs_torch {
namespace {

constexpr int64_t blockRows = 64;
constexpr int64_t cached = int64_t{1} << 18;  // values of an example that stays in a core's cache from pass to pass
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
// 1 + exp(-u). Where it would be infinite, the division that relaxed arithmetic allows gives NaN: below u = -80 silu is 0 in float32
// all the same.
inline float belowSigmoid(float u) { return 1.0f + std::exp(std::min(-u, 80.0f)); }
TFJS_VECTOR void scaleRowsSilu(const float* x, int64_t rows, int64_t channels, const float* a, const float* b, float* y) {
  for (int64_t r = 0; r < rows; r++, x += channels, y += channels) {
    for (int64_t c = 0; c < channels; c++) {
      const float u = x[c] * a[c] + b[c];
      y[c] = u / belowSigmoid(u);
    }
  }
}
// du = dy * silu'(x a + b), its sum and its sum against xhat = x rstd + offset.
TFJS_VECTOR void gradRows(const float* dy, const float* x, int64_t rows, int64_t channels, const float* a, const float* b,
                          const float* rstd, const float* offset, bool silu, float* du, float* sum, float* against) {
  for (int64_t r = 0; r < rows; r++, x += channels, dy += channels, du += channels) {
    if (silu) {
      for (int64_t c = 0; c < channels; c++) {
        const float u = x[c] * a[c] + b[c], s = 1.0f / belowSigmoid(u);
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

TFJS_VECTOR void addTo(double* target, const float* values, int64_t count) {
  for (int64_t i = 0; i < count; i++) target[i] += values[i];
}

// The rows of one example in chunks of whole blocks, dealt out to threads where there is more than one.
struct Chunks {
  GroupNormShape shape;
  int64_t count, rowsEach;
  explicit Chunks(GroupNormShape s) : shape(s) {
    const int64_t blocks = (s.rows + blockRows - 1) / blockRows;
    const bool whole = s.n >= 4 && s.rows * s.channels <= cached;
    count = whole ? 1 : std::max<int64_t>(1, std::min<int64_t>(16, blocks));
    rowsEach = (blocks + count - 1) / count * blockRows;
  }
  // body(n) for every example
  template <class Body>
  void examples(Body body) const {
    if (count > 1) {
      for (int64_t n = 0; n < shape.n; n++) body(n);
      return;
    }
    const int64_t grain = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, shape.rows * shape.channels));
    parallelFor(shape.n, grain, [&](int64_t from, int64_t to) {
      for (int64_t n = from; n < to; n++) body(n);
    });
  }
  // body(chunk, first row, rows) for every chunk of an example
  template <class Body>
  void each(Body body) const {
    if (count == 1) return body(0, 0, shape.rows);
    const int64_t grain = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, rowsEach * shape.channels));
    parallelFor(count, grain, [&](int64_t from, int64_t to) {
      for (int64_t chunk = from; chunk < to; chunk++) {
        const int64_t first = chunk * rowsEach, last = std::min(shape.rows, first + rowsEach);
        if (first < last) body(chunk, first, last - first);
      }
    });
  }
  // sums[width] over an example's rows of what `block(row, rows, values)` adds to values[width]
  template <class Block>
  void sum(int64_t width, Doubles& sums, Block block) const {
    Doubles partial(count * width);
    each([&](int64_t chunk, int64_t first, int64_t rows) {
      Floats values(width);
      for (int64_t row = first; row < first + rows; row += blockRows) {
        std::fill(values.begin(), values.end(), 0.0f);
        block(row, std::min(blockRows, first + rows - row), values.data());
        addTo(partial.data() + chunk * width, values.data(), width);
      }
    });
    sums.assign(partial.begin(), partial.begin() + width);
    for (int64_t i = width; i < count * width; i++) sums[i % width] += partial[i];
  }
};

// Rows of few channels are looked at as rows of `fold` times as many, so that a vector register is filled.
struct Folded {
  int64_t fold = 1, channels;
  GroupNormShape shape;
  explicit Folded(GroupNormShape s) : channels(s.channels) {
    while (2 * fold * channels <= 64 && s.rows % (2 * fold) == 0) fold *= 2;
    shape = {s.n, s.rows / fold, channels * fold, s.groups};
  }
  // What was computed for the channels, for all of the longer row.
  void repeat(Floats& values) const {
    for (int64_t i = channels; i < shape.channels; i++) values[i] = values[i - channels];
  }
  // Sums over the longer row's channels to sums over the channels, in front.
  void gather(double* sums) const {
    for (int64_t i = channels; i < shape.channels; i++) sums[i % channels] += sums[i];
  }
};

// y before silu is x * a + b, per channel of one example; weights and stats are that example's.
TFJS_VECTOR void affine(const GroupNormShape& s, const float* stats, const GroupNormWeights& w, float* a, float* b) {
  const int64_t width = s.channels / s.groups;
  for (int64_t group = 0; group < s.groups; group++) {
    const float mean = stats[2 * group], rstd = stats[2 * group + 1];
    for (int64_t c = group * width; c < (group + 1) * width; c++) {
      const float more = w.scale ? 1.0f + w.scale[c] : 1.0f;
      a[c] = rstd * w.gamma[c] * more;
      b[c] = (w.beta[c] - mean * rstd * w.gamma[c]) * more + (w.shift ? w.shift[c] : 0.0f);
    }
  }
}
GroupNormWeights ofExample(GroupNormWeights w, int64_t n, int64_t channels) {
  return {w.gamma, w.beta, w.scale ? w.scale + n * channels : nullptr, w.shift ? w.shift + n * channels : nullptr};
}

// y of an example from its x, stats and weights.
void applyTo(const Folded& folded, const Chunks& chunks, const GroupNormShape& s, const float* x, const float* stats,
             const GroupNormWeights& weights, bool silu, float* y) {
  const int64_t wide = folded.shape.channels;
  Floats a(wide), b(wide);
  affine(s, stats, weights, a.data(), b.data());
  folded.repeat(a);
  folded.repeat(b);
  chunks.each([&](int64_t, int64_t row, int64_t rows) {
    (silu ? scaleRowsSilu : scaleRows)(x + row * wide, rows, wide, a.data(), b.data(), y + row * wide);
  });
}

double groupMean(const GroupNormShape& s, const double* sums, int64_t group) {
  const int64_t width = s.channels / s.groups;
  double total = 0;
  for (int64_t c = group * width; c < (group + 1) * width; c++) total += sums[c];
  return total / static_cast<double>(s.rows * width);
}

}  // namespace

void groupNormForward(GroupNormShape s, const float* allX, GroupNormWeights allWeights, float epsilon, bool silu, float* allY,
                      float* allStats) {
  const Folded folded(s);
  const Chunks chunks(folded.shape);
  const int64_t example = s.rows * s.channels, width = s.channels / s.groups, wide = folded.shape.channels;
  chunks.examples([&](int64_t n) {
    const float* x = allX + n * example;
    float *y = allY + n * example, *stats = allStats + n * s.groups * 2;
    Doubles sums;
    Floats mean(wide);
    chunks.sum(wide, sums, [&](int64_t row, int64_t rows, float* values) { addRows(x + row * wide, rows, wide, values); });
    folded.gather(sums.data());
    for (int64_t group = 0; group < s.groups; group++) {
      stats[2 * group] = static_cast<float>(groupMean(s, sums.data(), group));
      std::fill_n(mean.begin() + group * width, width, stats[2 * group]);
    }
    folded.repeat(mean);
    chunks.sum(wide, sums, [&](int64_t row, int64_t rows, float* values) {
      addSquares(x + row * wide, rows, wide, mean.data(), values);
    });
    folded.gather(sums.data());
    for (int64_t group = 0; group < s.groups; group++) {
      stats[2 * group + 1] = static_cast<float>(1.0 / std::sqrt(groupMean(s, sums.data(), group) + epsilon));
    }
    applyTo(folded, chunks, s, x, stats, ofExample(allWeights, n, s.channels), silu, y);
  });
}

void groupNormFromStats(GroupNormShape s, const float* x, const float* stats, GroupNormWeights weights, bool silu, float* y) {
  const Folded folded(s);
  const Chunks chunks(folded.shape);
  const int64_t example = s.rows * s.channels;
  chunks.examples([&](int64_t n) {
    applyTo(folded, chunks, s, x + n * example, stats + n * s.groups * 2, ofExample(weights, n, s.channels), silu, y + n * example);
  });
}

void groupNormBackward(GroupNormShape s, const float* allDy, const float* allX, const float* allStats,
                       GroupNormWeights allWeights, bool silu, GroupNormGrads grads) {
  const Folded folded(s);
  const Chunks chunks(folded.shape);
  const int64_t example = s.rows * s.channels, width = s.channels / s.groups, wide = folded.shape.channels;
  Doubles parameters(s.n * 2 * s.channels);  // per example: what it adds to dgamma and to dbeta
  chunks.examples([&](int64_t n) {
    const float *x = allX + n * example, *dy = allDy + n * example, *stats = allStats + n * s.groups * 2;
    const GroupNormWeights w = ofExample(allWeights, n, s.channels);
    float* dx = grads.dx + n * example;
    Floats a(wide), b(wide), rstd(wide), offset(wide), q(wide), r(wide);
    affine(s, stats, w, a.data(), b.data());
    for (int64_t group = 0; group < s.groups; group++) {
      const float scale = stats[2 * group + 1];
      std::fill_n(rstd.begin() + group * width, width, scale);
      std::fill_n(offset.begin() + group * width, width, -stats[2 * group] * scale);
    }
    for (Floats* values : {&a, &b, &rstd, &offset}) folded.repeat(*values);
    Doubles sums;  // over rows: du, and after all channels of it, du * xhat; du itself goes to dx
    chunks.sum(2 * wide, sums, [&](int64_t row, int64_t rows, float* values) {
      const int64_t at = row * wide;
      gradRows(dy + at, x + at, rows, wide, a.data(), b.data(), rstd.data(), offset.data(), silu, dx + at, values, values + wide);
    });
    double *first = sums.data(), *second = first + wide;
    folded.gather(first);
    folded.gather(second);
    double *dgamma = parameters.data() + n * 2 * s.channels, *dbeta = dgamma + s.channels;
    for (int64_t c = 0; c < s.channels; c++) {
      const double more = w.scale ? 1.0 + w.scale[c] : 1.0;
      dgamma[c] = more * second[c];
      dbeta[c] = more * first[c];
      if (grads.dscale) grads.dscale[n * s.channels + c] = static_cast<float>(w.gamma[c] * second[c] + w.beta[c] * first[c]);
      if (grads.dshift) grads.dshift[n * s.channels + c] = static_cast<float>(first[c]);
      first[c] = w.gamma[c] * dbeta[c];
      second[c] = w.gamma[c] * dgamma[c];
    }
    // dx = rstd (k du - mean(k du) - xhat mean(k du xhat)) = a du + q x + r
    for (int64_t group = 0; group < s.groups; group++) {
      const double mean = stats[2 * group], scale = stats[2 * group + 1];
      const double m1 = groupMean(s, first, group), m2 = groupMean(s, second, group);
      std::fill_n(q.begin() + group * width, width, static_cast<float>(-scale * scale * m2));
      std::fill_n(r.begin() + group * width, width, static_cast<float>(scale * (scale * mean * m2 - m1)));
    }
    folded.repeat(q);
    folded.repeat(r);
    chunks.each([&](int64_t, int64_t row, int64_t rows) {
      finishRows(dx + row * wide, x + row * wide, rows, wide, a.data(), q.data(), r.data());
    });
  });
  Doubles total(2 * s.channels);
  for (int64_t n = 0; n < s.n; n++) {
    for (int64_t i = 0; i < 2 * s.channels; i++) total[i] += parameters[n * 2 * s.channels + i];
  }
  for (int64_t c = 0; c < s.channels; c++) {
    if (grads.dgamma) grads.dgamma[c] = static_cast<float>(total[c]);
    if (grads.dbeta) grads.dbeta[c] = static_cast<float>(total[s.channels + c]);
  }
}

}  // namespace tfjs_torch
