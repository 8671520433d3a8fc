// One pixel and head at a time: its rows of all frames are short, and stay in the first-level cache.
#include "temporal_attention.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "parallel.h"

namespace tfjs_torch {
namespace {

// Frame j of frame i's window: [from, to).
inline int64_t windowFrom(int64_t i, int64_t window) { return i > window ? i - window : 0; }
inline int64_t windowTo(int64_t i, int64_t window, int64_t frames) { return frames - i > window ? i + window + 1 : frames; }

TFJS_VECTOR void attend(const TemporalShape& s, int64_t stride, const float* q, const float* k, const float* v, float* y,
                        float* p) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(s.width));
  for (int64_t i = 0; i < s.frames; i++, p += s.frames) {
    const int64_t from = windowFrom(i, s.window), to = windowTo(i, s.window, s.frames);
    float top = -3.0e38f;
    for (int64_t j = 0; j < s.frames; j++) p[j] = 0.0f;
    for (int64_t j = from; j < to; j++) {
      float score = 0.0f;
      for (int64_t c = 0; c < s.width; c++) score += q[i * stride + c] * k[j * stride + c];
      p[j] = score * scale;
      top = std::max(top, p[j]);
    }
    float total = 0.0f;
    for (int64_t j = from; j < to; j++) {
      p[j] = std::exp(p[j] - top);
      total += p[j];
    }
    for (int64_t c = 0; c < s.width; c++) y[i * stride + c] = 0.0f;
    for (int64_t j = from; j < to; j++) {
      p[j] /= total;
      for (int64_t c = 0; c < s.width; c++) y[i * stride + c] += p[j] * v[j * stride + c];
    }
  }
}

TFJS_VECTOR void attendBackward(const TemporalShape& s, int64_t stride, const float* dy, const float* p, const float* q,
                                const float* k, const float* v, float* dq, float* dk, float* dv, float* row) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(s.width));
  for (int64_t i = 0; i < s.frames; i++) {
    for (int64_t c = 0; c < s.width; c++) dq[i * stride + c] = dk[i * stride + c] = dv[i * stride + c] = 0.0f;
  }
  for (int64_t i = 0; i < s.frames; i++, p += s.frames) {
    const int64_t from = windowFrom(i, s.window), to = windowTo(i, s.window, s.frames);
    float mean = 0.0f;
    for (int64_t j = from; j < to; j++) {
      float dp = 0.0f;
      for (int64_t c = 0; c < s.width; c++) {
        dp += dy[i * stride + c] * v[j * stride + c];
        dv[j * stride + c] += p[j] * dy[i * stride + c];
      }
      row[j] = dp;
      mean += p[j] * dp;
    }
    for (int64_t j = from; j < to; j++) {
      const float ds = p[j] * (row[j] - mean) * scale;
      for (int64_t c = 0; c < s.width; c++) {
        dq[i * stride + c] += ds * k[j * stride + c];
        dk[j * stride + c] += ds * q[i * stride + c];
      }
    }
  }
}

// body(offset of the pixel's and head's first value in frame 0, index of its probabilities)
template <class Body>
void eachPixel(const TemporalShape& s, Body body) {
  const int64_t channels = s.heads * s.width, work = s.frames * s.frames * channels;
  parallelFor(s.batch * s.pixels, std::max<int64_t>(1, 32768 / std::max<int64_t>(1, work)), [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; i++) {
      const int64_t at = (i / s.pixels * s.frames * s.pixels + i % s.pixels) * channels;
      for (int64_t h = 0; h < s.heads; h++) body(at + h * s.width, (i * s.heads + h) * s.frames * s.frames);
    }
  });
}

}  // namespace

void temporalForward(TemporalShape s, const float* q, const float* k, const float* v, float* y, float* probabilities) {
  const int64_t stride = s.pixels * s.heads * s.width;
  eachPixel(s, [&](int64_t at, int64_t p) { attend(s, stride, q + at, k + at, v + at, y + at, probabilities + p); });
}

void temporalBackward(TemporalShape s, const float* dy, const float* probabilities, const float* q, const float* k,
                      const float* v, float* dq, float* dk, float* dv) {
  const int64_t stride = s.pixels * s.heads * s.width;
  eachPixel(s, [&](int64_t at, int64_t p) {
    thread_local std::vector<float> row;
    row.resize(s.frames);
    attendBackward(s, stride, dy + at, probabilities + p, q + at, k + at, v + at, dq + at, dk + at, dv + at, row.data());
  });
}

}  // namespace tfjs_torch
