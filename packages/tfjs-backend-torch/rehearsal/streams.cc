// Streams and events. All work is done when it is queued, so that nothing is ever waited for; which waits are allowed is checked.
#include "shared.h"

namespace rehearsal {
namespace {
Stream legacy;
struct Event {
  Stream* stream = nullptr;
  unsigned long long graph = 0;  // the graph that was being recorded when the event was, 0 for none
};
Event* eventOf(cudaEvent_t handle) { return reinterpret_cast<Event*>(handle); }

cudaError_t waitForEvent(cudaEvent_t handle, const char* call) {
  if (eventOf(handle)->graph) return fail(cudaErrorCapturedEvent, call);
  if (forbidden(call)) return fail(cudaErrorStreamCaptureUnsupported, call);
  return cudaSuccess;
}
}  // namespace

Stream* streamOf(cudaStream_t handle) {
  if (handle == nullptr || handle == cudaStreamLegacy || handle == cudaStreamPerThread) return &legacy;
  return reinterpret_cast<Stream*>(handle);
}

}  // namespace rehearsal

using namespace rehearsal;

extern "C" {

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* handle, unsigned, int) {
  *handle = reinterpret_cast<cudaStream_t>(new Stream);
  return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* handle) { return cudaStreamCreateWithPriority(handle, 0, 0); }
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* handle, unsigned flags) {
  return cudaStreamCreateWithPriority(handle, flags, 0);
}
// Never freed: events may name them.
cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaStreamGetPriority(cudaStream_t, int* priority) {
  *priority = 0;
  return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t handle) {
  Lock lock(everything);
  return refuseIfCaptured(handle, "cudaStreamQuery");
}
cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  Lock lock(everything);
  if (const auto error = refuseIfCaptured(handle, "cudaStreamSynchronize")) return error;
  for (const Capture* capture : captures()) {
    // Allowed, but a step that waits for something else while it is recorded does not wait for it when it is replayed.
    if (pthread_equal(capture->thread, pthread_self())) violation("wait for another stream while a graph is recorded");
  }
  trace("wait\tstream");
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
  FORBIDDEN_IN_CAPTURE("cudaDeviceSynchronize");
  trace("wait\tdevice");
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned) {
  Lock lock(everything);
  Stream* stream = streamOf(handle);
  for (Capture* capture : captures()) {
    if (capture->graph->id != eventOf(event)->graph) continue;
    if (stream->capture == capture) {
      capture->unjoined.erase(eventOf(event)->stream);
    } else if (!stream->capture) {
      stream->capture = capture;
      capture->streams.insert(stream);
      capture->unjoined.insert(stream);
    }
    return cudaSuccess;
  }
  if (stream->capture) {
    violation("a captured stream waits for an event outside the capture");
    stream->capture->invalid = true;
    return fail(cudaErrorStreamCaptureIsolation, "cudaStreamWaitEvent");
  }
  return cudaSuccess;
}
cudaError_t cudaStreamAddCallback(cudaStream_t handle, cudaStreamCallback_t callback, void* data, unsigned) {
  if (const auto error = refuseIfCaptured(handle, "cudaStreamAddCallback")) return error;
  callback(handle, cudaSuccess, data);
  return cudaSuccess;
}
cudaError_t cudaLaunchHostFunc(cudaStream_t, cudaHostFn_t function, void* data) {
  function(data);
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* handle, unsigned) {
  *handle = reinterpret_cast<cudaEvent_t>(new Event);
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* handle) { return cudaEventCreateWithFlags(handle, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t handle) {
  Lock lock(everything);
  delete eventOf(handle);
  return cudaSuccess;
}
cudaError_t cudaEventRecordWithFlags(cudaEvent_t handle, cudaStream_t stream, unsigned) {
  Lock lock(everything);
  *eventOf(handle) = {streamOf(stream), captureOf(stream)};
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t handle, cudaStream_t stream) { return cudaEventRecordWithFlags(handle, stream, 0); }
cudaError_t cudaEventQuery(cudaEvent_t handle) {
  Lock lock(everything);
  return waitForEvent(handle, "cudaEventQuery");
}
cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
  Lock lock(everything);
  if (const auto error = waitForEvent(handle, "cudaEventSynchronize")) return error;
  trace("wait\tevent");
  return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t, cudaEvent_t) {
  *milliseconds = 1;  // no time is measured; not 0, since programs divide by it
  return cudaSuccess;
}
}
