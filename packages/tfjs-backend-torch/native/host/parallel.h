// What the hand-written CPU loops share: a parallel loop without libtorch's headers, and vector variants by CPU type.
#pragma once
#include <cstdint>
#include <functional>

// These files are compiled for speed (-O3 -ffast-math), each loop for several instruction sets of which the loader picks. They
// are named by what the processor can do: names of Intel's types (haswell) would leave AMD's with the default, SSE2.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#if __GNUC__ >= 12
#define TFJS_VECTOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TFJS_VECTOR __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
#else
#define TFJS_VECTOR
#endif

namespace tfjs_torch {

// body(from, to) over [0, count) on libtorch's threads; at least `grain` items to a call.
void parallelFor(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body);

}  // namespace tfjs_torch
