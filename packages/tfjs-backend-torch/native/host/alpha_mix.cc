// One pass over memory each way. Sums run over blocks in float32 and over blocks in float64, whatever the number of threads.
#include "alpha_mix.h"

#include <algorithm>
#include <vector>

#include "parallel.h"

namespace tfjs_torch {
namespace {

constexpr int64_t block = 4096;

TFJS_VECTOR void mix(int64_t count, const float* spatial, const float* temporal, float a, float* y) {
  const float rest = 1.0f - a;
  for (int64_t i = 0; i < count; i++) y[i] = spatial[i] * a + temporal[i] * rest;
}
TFJS_VECTOR void unmix(int64_t count, const float* dy, float a, float* dspatial, float* dtemporal) {
  const float rest = 1.0f - a;
  for (int64_t i = 0; i < count; i++) {
    dspatial[i] = dy[i] * a;
    dtemporal[i] = dy[i] * rest;
  }
}
TFJS_VECTOR float against(int64_t count, const float* dy, const float* spatial, const float* temporal) {
  float sum = 0.0f;
  for (int64_t i = 0; i < count; i++) sum += dy[i] * (spatial[i] - temporal[i]);
  return sum;
}

// body(block's number, first value, count, factor's number) for blocks of values that share a factor
template <class Body>
void eachBlock(const AlphaShape& s, Body body) {
  const int64_t perGroup = (s.width + block - 1) / block;
  const int64_t grain = std::max<int64_t>(1, 32768 / std::max<int64_t>(1, std::min(block, s.width)));
  parallelFor(s.groups * perGroup, grain, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; i++) {
      const int64_t group = i / perGroup, first = i % perGroup * block;
      body(i, group * s.width + first, std::min(block, s.width - first), group % s.factors);
    }
  });
}

}  // namespace

void alphaMixForward(AlphaShape s, const float* spatial, const float* temporal, const float* a, float* y) {
  eachBlock(s, [&](int64_t, int64_t at, int64_t count, int64_t factor) {
    if (a[factor] == 1.0f) {
      std::copy_n(spatial + at, count, y + at);
    } else {
      mix(count, spatial + at, temporal + at, a[factor], y + at);
    }
  });
}

void alphaMixBackward(AlphaShape s, const float* dy, const float* spatial, const float* temporal, const float* a,
                      float* dspatial, float* dtemporal, float* along) {
  const int64_t perGroup = (s.width + block - 1) / block;
  std::vector<double> sums(along ? s.groups * perGroup : 0), totals(s.factors);
  eachBlock(s, [&](int64_t i, int64_t at, int64_t count, int64_t factor) {
    unmix(count, dy + at, a[factor], dspatial + at, dtemporal + at);
    if (along) sums[i] = against(count, dy + at, spatial + at, temporal + at);
  });
  if (!along) return;
  for (size_t i = 0; i < sums.size(); i++) totals[i / perGroup % s.factors] += sums[i];
  for (int64_t factor = 0; factor < s.factors; factor++) along[factor] = static_cast<float>(totals[factor]);
}

}  // namespace tfjs_torch
