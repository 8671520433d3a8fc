// A thread's place in its launch, and what threads of a block do together. All threads of a block reach every barrier and
// every sum, whether or not they have data.
#pragma once
#include "portable.h"
#ifndef __CUDACC_RTC__
#include "shared_memory.h"
#endif

namespace tfjs_torch {

#ifdef __CUDACC_RTC__

struct Thread {
  float* shared;
  template <class Number>
  TFJS_DEVICE Number* sharedAs() const { return reinterpret_cast<Number*>(shared); }
  TFJS_DEVICE int64_t block() const { return blockIdx.x; }
  TFJS_DEVICE int thread() const { return threadIdx.x; }
  TFJS_DEVICE int threads() const { return blockDim.x; }
  TFJS_DEVICE void barrier() const { __syncthreads(); }
  // The sum over `lanes` neighbouring threads (a power of two up to 32), the same in each.
  TFJS_DEVICE float sum(float x, int lanes) const {
    for (int step = lanes / 2; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
    return x;
  }
};

#else

// In emulator.cc: they return once the other threads of the block, or of the warp, have come to the same line.
void waitAtBarrier(const char* file, int line);
float sumOfLanes(float x, int lanes, const char* file, int line);

struct Thread {
  SharedPointer<float> shared;
  int64_t block_;
  int thread_, threads_;
  template <class Number>
  SharedPointer<Number> sharedAs() const { return {shared.memory, shared.word, shared.thread}; }
  int64_t block() const { return block_; }
  int thread() const { return thread_; }
  int threads() const { return threads_; }
  void barrier(const char* file = __builtin_FILE(), int line = __builtin_LINE()) const { waitAtBarrier(file, line); }
  float sum(float x, int lanes, const char* file = __builtin_FILE(), int line = __builtin_LINE()) const {
    return sumOfLanes(x, lanes, file, line);
  }
};

#endif

// The sum of one number per thread, in thread 0.
template <class Number>
TFJS_DEVICE Number sumOfBlock(const Thread& at, Number x) {
  const auto shared = at.sharedAs<Number>();
  shared[at.thread()] = x;
  for (int step = at.threads() / 2; step > 0; step /= 2) {
    at.barrier();
    if (at.thread() < step) shared[at.thread()] += shared[at.thread() + step];
  }
  return shared[at.thread()];
}

}  // namespace tfjs_torch
