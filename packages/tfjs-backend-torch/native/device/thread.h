// A thread's place in its launch, and what threads of a block do together. All threads of a block reach every barrier and
// every sum, whether or not they have data.
#pragma once
#include "portable.h"

namespace tfjs_torch {

#ifdef __CUDACC_RTC__

struct Thread {
  float* shared;
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

struct Thread {
  float* shared;
  int64_t block_;
  int thread_, threads_;
  float* exchange;  // one slot per thread
  void (*wait)();
  int64_t block() const { return block_; }
  int thread() const { return thread_; }
  int threads() const { return threads_; }
  void barrier() const { wait(); }
  float sum(float x, int lanes) const {
    for (int step = lanes / 2; step > 0; step /= 2) {
      exchange[thread_] = x;
      wait();
      const float other = exchange[thread_ ^ step];
      wait();
      x += other;
    }
    return x;
  }
};

#endif

// The sum of one number per thread, in thread 0.
template <class Number>
TFJS_DEVICE Number sumOfBlock(const Thread& at, Number x) {
  Number* shared = reinterpret_cast<Number*>(at.shared);
  shared[at.thread()] = x;
  for (int step = at.threads() / 2; step > 0; step /= 2) {
    at.barrier();
    if (at.thread() < step) shared[at.thread()] += shared[at.thread() + step];
  }
  return shared[at.thread()];
}

}  // namespace tfjs_torch
