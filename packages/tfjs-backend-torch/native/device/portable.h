// What the kernels of this folder are written in. The same text is compiled by NVRTC for the GPU and by the host's compiler,
// where emulator.h runs it thread by thread: what is tested there is all but the launch.
#pragma once

#ifdef __CUDACC_RTC__
#define TFJS_DEVICE __device__ __forceinline__
#define TFJS_UNROLL _Pragma("unroll")
#define TFJS_UNROLL_4 _Pragma("unroll 4")
#define TFJS_KEEP_LOOP _Pragma("unroll 1")
using int32_t = int;
using uint16_t = unsigned short;
using uint32_t = unsigned int;
using int64_t = long long;
using uint64_t = unsigned long long;
#else
#include <cmath>
#include <cstddef>
#include <cstdint>
#define TFJS_DEVICE inline
#define TFJS_UNROLL
#define TFJS_UNROLL_4
#define TFJS_KEEP_LOOP
#endif

namespace tfjs_torch {

// bfloat16 by its bits, rounded to nearest even, so that no header of CUDA's is needed.
struct Bf16 {
  uint16_t bits;
};
TFJS_DEVICE float toFloat(float x) { return x; }
TFJS_DEVICE float toFloat(Bf16 x) {
  union {
    uint32_t bits;
    float value;
  } pun;
  pun.bits = static_cast<uint32_t>(x.bits) << 16;
  return pun.value;
}
TFJS_DEVICE void fromFloat(float x, float& y) { y = x; }
TFJS_DEVICE void fromFloat(float x, Bf16& y) {
  union {
    uint32_t bits;
    float value;
  } pun;
  pun.value = x;
  const bool nan = (pun.bits & 0x7fffffffu) > 0x7f800000u;
  y.bits = nan ? 0x7fc0 : static_cast<uint16_t>((pun.bits + 0x7fffu + ((pun.bits >> 16) & 1u)) >> 16);
}

// V neighbours in one access of up to 16 bytes.
template <class T, int V>
struct alignas(sizeof(T) * V > 16 ? 16 : sizeof(T) * V) Pack {
  T at[V];
};
#ifdef __CUDACC_RTC__
template <class P>
TFJS_DEVICE void checkAligned(const void*) {}
#else
[[noreturn]] void misaligned(const void* address, size_t bytes);
template <class P>
void checkAligned(const void* address) {
  if (reinterpret_cast<uintptr_t>(address) % alignof(P) != 0) misaligned(address, alignof(P));
}
#endif
template <class T, int V>
TFJS_DEVICE void load(const T* from, float (&to)[V]) {
  checkAligned<Pack<T, V>>(from);
  const Pack<T, V> pack = *reinterpret_cast<const Pack<T, V>*>(from);
  TFJS_UNROLL for (int i = 0; i < V; i++) to[i] = toFloat(pack.at[i]);
}
template <class T, int V>
TFJS_DEVICE void store(const float (&from)[V], T* to) {
  checkAligned<Pack<T, V>>(to);
  Pack<T, V> pack;
  TFJS_UNROLL for (int i = 0; i < V; i++) fromFloat(from[i], pack.at[i]);
  *reinterpret_cast<Pack<T, V>*>(to) = pack;
}

TFJS_DEVICE float sigmoidOf(float x) { return 1.0f / (1.0f + expf(-x)); }
TFJS_DEVICE bool isFinite(float x) { return x - x == 0.0f; }

}  // namespace tfjs_torch
