// The CUDA stream on which a thread's operations run. Never the default one, which cannot be recorded as a graph.
#pragma once
#include <ATen/ATen.h>

#ifdef TFJS_TORCH_CUDA
#include <ATen/cuda/CUDAEvent.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#endif

namespace tfjs_torch {

#ifdef TFJS_TORCH_CUDA

using Stream = std::optional<c10::cuda::CUDAStream>;
// Makes a stream of its own the calling thread's current one.
inline void chooseStream(c10::Device device) {
  if (device.is_cuda()) c10::cuda::setCurrentCUDAStream(c10::cuda::getStreamFromPool(/*isHighPriority=*/true, device.index()));
}
inline Stream currentStream(c10::Device device) {
  if (device.is_cuda()) return c10::cuda::getCurrentCUDAStream(device.index());
  return std::nullopt;
}
// Runs what follows, in another thread, after what the stream has been given.
struct OnStream {
  std::optional<c10::cuda::CUDAStreamGuard> guard;
  explicit OnStream(const Stream& stream) {
    if (stream) guard.emplace(*stream);
  }
};

// A place in the order of the calling thread's stream, to be waited for in another thread.
struct Mark {
  at::cuda::CUDAEvent event;
  void set() { event.record(); }
  void wait() { event.synchronize(); }
};

#else

struct Stream {};
inline void chooseStream(c10::Device) {}
inline Stream currentStream(c10::Device) { return {}; }
struct OnStream {
  explicit OnStream(const Stream&) {}
};
struct Mark {
  void set() {}
  void wait() {}
};

#endif

}  // namespace tfjs_torch
