// Copies and fills: done at once, or recorded into a graph.
#include <string>
#include <unordered_map>

#include "shared.h"

using namespace rehearsal;

namespace {

const char* directionOf(const void* to, const void* from) {
  if (onDevice(to) && onDevice(from)) return "device to device";
  if (onDevice(to)) return isPinned(from) ? "pinned to device" : "pageable to device";
  if (onDevice(from)) return isPinned(to) ? "device to pinned" : "device to pageable";
  return "host to host";
}

}  // namespace

extern "C" {

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind) {
  FORBIDDEN_IN_CAPTURE("cudaMemcpy");
  trace("copy\t0\t%s, waited for\t%zu", directionOf(to, from), bytes);
  moveBytes(to, from, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  Lock lock(everything);
  trace("copy\t%llu\t%s\t%zu", captureOf(stream), directionOf(to, from), bytes);
  if (captureOf(stream)) {
    const bool pageable = (!onDevice(to) && !isPinned(to)) || (!onDevice(from) && !isPinned(from));
    if (pageable) return refuseIfCaptured(stream, "copy of pageable memory");
    // Allowed, but each replay reads or writes that memory again, which its owner may have given to others.
    if (!onDevice(to) || !onDevice(from)) violation("host memory in a captured copy");
  }
  if (!enqueue(stream, {Node::copy, to, from, bytes}, "copy")) moveBytes(to, from, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemcpy2DAsync(void* to, size_t toPitch, const void* from, size_t fromPitch, size_t width, size_t height,
                              cudaMemcpyKind kind, cudaStream_t stream) {
  for (size_t row = 0; row < height; row++) {
    const auto error = cudaMemcpyAsync(static_cast<char*>(to) + row * toPitch,
                                       static_cast<const char*>(from) + row * fromPitch, width, kind, stream);
    if (error) return error;
  }
  return cudaSuccess;
}
cudaError_t cudaMemcpyPeerAsync(void* to, int, const void* from, int, size_t bytes, cudaStream_t stream) {
  return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream);
}
cudaError_t cudaMemset(void* to, int value, size_t bytes) {
  FORBIDDEN_IN_CAPTURE("cudaMemset");
  setBytes(to, value, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  Lock lock(everything);
  trace("set\t%llu\t%zu", captureOf(stream), bytes);
  if (!enqueue(stream, {Node::set, to, nullptr, bytes, value}, "set")) setBytes(to, value, bytes);
  return cudaSuccess;
}

// Variables of a module: only their addresses count, as no kernel reads them.
cudaError_t cudaMemcpyToSymbol(const void*, const void*, size_t, size_t, cudaMemcpyKind) { return cudaSuccess; }
}
