// The host's loop over Philox blocks. CMakeLists.txt compiles this file with -ffp-contract=off and without -ffast-math.
#include "philox.h"

#include "parallel.h"

namespace tfjs_torch {

void philoxNormals(const PhiloxAt& at, int64_t count, float* out) {
  const int64_t first = static_cast<int64_t>(at.offset / 4), skip = static_cast<int64_t>(at.offset % 4);
  parallelFor((skip + count + 3) / 4, 1024, [&](int64_t from, int64_t to) {
    for (int64_t block = from; block < to; block++) {
      uint32_t words[4];
      float normals[4];
      philoxBlock(at, static_cast<uint32_t>(first + block), words);
      boxMuller(words[0], words[1], normals[0], normals[1]);
      boxMuller(words[2], words[3], normals[2], normals[3]);
      for (int64_t i = 0; i < 4; i++) {
        const int64_t element = 4 * block + i - skip;
        if (element >= 0 && element < count) out[element] = normals[i];
      }
    }
  });
}

}  // namespace tfjs_torch
