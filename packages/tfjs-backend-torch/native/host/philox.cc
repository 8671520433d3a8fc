// The host's loop over Philox blocks. CMakeLists.txt compiles this file with -ffp-contract=off and without -ffast-math.
#include "../device/philox.h"

#include "parallel.h"

namespace tfjs_torch {

void philoxNormals(const PhiloxAt& at, int64_t count, float* out) {
  const int64_t skip = static_cast<int64_t>(at.offset % 4);
  parallelFor((skip + count + 3) / 4, 1024, [&](int64_t from, int64_t to) {
    for (int64_t block = from; block < to; block++) philoxQuad(at, block, count, out);
  });
}

}  // namespace tfjs_torch
