// The mix of two branches on the CPU: y = spatial a + temporal (1 - a), `groups` rows of `width` floats, row g with the factor
// a[g % factors].
#pragma once
#include <cstdint>

namespace tfjs_torch {

struct AlphaShape {
  int64_t groups, factors, width;
};

// Exactly `spatial` where a is 1, be the other branch infinite.
void alphaMixForward(AlphaShape shape, const float* spatial, const float* temporal, const float* a, float* y);
// along [factors]: the sum of dy (spatial - temporal) over what shares a factor; may be null.
void alphaMixBackward(AlphaShape shape, const float* dy, const float* spatial, const float* temporal, const float* a,
                      float* dspatial, float* dtemporal, float* along);

}  // namespace tfjs_torch
