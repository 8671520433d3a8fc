// One pass over memory each way; libtorch's calls would make four.
#include "geglu.h"

#include <algorithm>
#include <cmath>

#include "parallel.h"

namespace tfjs_torch {
namespace {

constexpr float sqrtHalf = 0.70710678f, inverseSqrtTwoPi = 0.39894228f;

TFJS_VECTOR void forwardRow(int64_t width, const float* x, float* y) {
  const float* gate = x + width;
  for (int64_t c = 0; c < width; c++) y[c] = x[c] * gate[c] * 0.5f * (1.0f + std::erf(gate[c] * sqrtHalf));
}
TFJS_VECTOR void backwardRow(int64_t width, const float* dy, const float* x, float* dx) {
  const float* gate = x + width;
  for (int64_t c = 0; c < width; c++) {
    const float g = gate[c], phi = 0.5f * (1.0f + std::erf(g * sqrtHalf));
    const float slope = phi + g * inverseSqrtTwoPi * std::exp(-0.5f * g * g);
    dx[width + c] = dy[c] * x[c] * slope;
    dx[c] = dy[c] * g * phi;
  }
}
int64_t grain(int64_t width) { return std::max<int64_t>(1, 8192 / width); }

}  // namespace

void gegluForward(int64_t rows, int64_t width, const float* x, float* y) {
  parallelFor(rows, grain(width), [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) forwardRow(width, x + 2 * r * width, y + r * width);
  });
}
void gegluBackward(int64_t rows, int64_t width, const float* dy, const float* x, float* dx) {
  parallelFor(rows, grain(width), [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) backwardRow(width, dy + r * width, x + 2 * r * width, dx + 2 * r * width);
  });
}

}  // namespace tfjs_torch
