// Philox4x32-10 normals (Salmon et al. 2011, Box-Muller in float64): plain arithmetic that a host and a device compiler
// both take. Compiled without contraction to fused multiply-adds, so that the bytes are the same everywhere.
#pragma once
#include "thread.h"

namespace tfjs_torch {

struct PhiloxAt {
  uint64_t seed, stream;
  uint32_t step;
  uint64_t offset;
};

TFJS_DEVICE void philoxBlock(const PhiloxAt& at, uint32_t block, uint32_t out[4]) {
  uint32_t x0 = block, x1 = at.step, x2 = static_cast<uint32_t>(at.stream), x3 = static_cast<uint32_t>(at.stream >> 32);
  uint32_t k0 = static_cast<uint32_t>(at.seed), k1 = static_cast<uint32_t>(at.seed >> 32);
  for (int round = 0; round < 10; round++) {
    const uint64_t a = static_cast<uint64_t>(0xd2511f53u) * x0, b = static_cast<uint64_t>(0xcd9e8d57u) * x2;
    const uint32_t y0 = static_cast<uint32_t>(b >> 32) ^ x1 ^ k0, y2 = static_cast<uint32_t>(a >> 32) ^ x3 ^ k1;
    x1 = static_cast<uint32_t>(b);
    x3 = static_cast<uint32_t>(a);
    x0 = y0;
    x2 = y2;
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  out[0] = x0;
  out[1] = x1;
  out[2] = x2;
  out[3] = x3;
}

// ln((word + 1) / 2^32) by exponent and the series of artanh.
TFJS_DEVICE double logOfFraction(uint32_t word) {
  if (word == 0xffffffffu) return 0;
  uint32_t bits = word + 1;
  int exponent = 0;
  while (!(bits & 0x80000000u)) {
    bits <<= 1;
    exponent--;
  }
  double m = bits / 4294967296.0;
  if (m < 0.7071067811865476) {
    m *= 2;
    exponent -= 1;
  }
  const double z = (m - 1) / (m + 1), w = z * z;
  double sum = 1.0 / 21;
  for (int n = 19; n >= 3; n -= 2) sum = sum * w + 1.0 / n;
  return exponent * 0.6931471805599453 + 2 * (z + z * w * sum);
}
// sin(t) / t and cos(t) from x = t^2, |t| <= pi/4.
TFJS_DEVICE double sineOver(double x) {
  double sum = 1.0 / 355687428096000.0;
  sum = sum * x - 1.0 / 1307674368000.0;
  sum = sum * x + 1.0 / 6227020800.0;
  sum = sum * x - 1.0 / 39916800.0;
  sum = sum * x + 1.0 / 362880.0;
  sum = sum * x - 1.0 / 5040.0;
  sum = sum * x + 1.0 / 120.0;
  sum = sum * x - 1.0 / 6.0;
  return 1 + x * sum;
}
TFJS_DEVICE double cosineOf(double x) {
  double sum = -1.0 / 6402373705728000.0;
  sum = sum * x + 1.0 / 20922789888000.0;
  sum = sum * x - 1.0 / 87178291200.0;
  sum = sum * x + 1.0 / 479001600.0;
  sum = sum * x - 1.0 / 3628800.0;
  sum = sum * x + 1.0 / 40320.0;
  sum = sum * x - 1.0 / 720.0;
  sum = sum * x + 1.0 / 24.0;
  sum = sum * x - 1.0 / 2.0;
  return 1 + x * sum;
}

// The normals of one pair of words.
TFJS_DEVICE void boxMuller(uint32_t a, uint32_t b, float& first, float& second) {
  const double radius = sqrt(-2 * logOfFraction(a));
  const uint32_t quarter = (b + 0x20000000u) >> 30;
  const double rest = static_cast<int32_t>(b << 2) / 4294967296.0 * 1.5707963267948966, x = rest * rest;
  const double sine = rest * sineOver(x), cosine = cosineOf(x);
  const double c = quarter & 1 ? sine : cosine, s = quarter & 1 ? cosine : sine;
  first = static_cast<float>(radius * (quarter == 1 || quarter == 2 ? -c : c));
  second = static_cast<float>(radius * (quarter >= 2 ? -s : s));
}

// The normals that have a place in `out`: elements at.offset .. at.offset + count - 1 of the draw, block 0 holding the first.
TFJS_DEVICE void philoxQuad(const PhiloxAt& at, int64_t block, int64_t count, float* out) {
  const int64_t first = static_cast<int64_t>(at.offset / 4), skip = static_cast<int64_t>(at.offset % 4);
  uint32_t words[4];
  float normals[4];
  philoxBlock(at, static_cast<uint32_t>(first + block), words);
  boxMuller(words[0], words[1], normals[0], normals[1]);
  boxMuller(words[2], words[3], normals[2], normals[3]);
  for (int i = 0; i < 4; i++) {
    const int64_t element = 4 * block + i - skip;
    if (element >= 0 && element < count) out[element] = normals[i];
  }
}

// A thread makes four; the step is read on the device, so that a recorded graph draws anew at each replay.
struct PhiloxNormals {
  PhiloxAt position;  // its step is not read
  const int32_t* step;
  int64_t count;
  float* out;

  TFJS_DEVICE void operator()(const Thread& at) const {
    PhiloxAt now = position;
    now.step = static_cast<uint32_t>(*step);
    philoxQuad(now, at.block() * at.threads() + at.thread(), count, out);
  }
};

#ifndef __CUDACC_RTC__
// The same for the host's threads.
void philoxNormals(const PhiloxAt& at, int64_t count, float* out);
#endif

}  // namespace tfjs_torch
