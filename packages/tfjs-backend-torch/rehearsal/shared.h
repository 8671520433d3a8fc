// What the parts of the stand-in for CUDA share: the trace, the rules of a capture, and which memory is whose.
#pragma once
#include <cuda_runtime_api.h>
#include <pthread.h>

#include <cstddef>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace rehearsal {

/** One lock for everything; taken again by functions that call each other. */
extern std::recursive_mutex everything;
using Lock = std::lock_guard<std::recursive_mutex>;

// trace.cc. One event a line, columns separated by tabs, to the file REHEARSAL_TRACE ("%p" in it becomes the process id).
bool tracing();
void trace(const char* format, ...) __attribute__((format(printf, 1, 2)));
/** Something that CUDA refuses or that a program for CUDA must not do. */
void violation(const std::string& what);
/** Keeps and returns the error; REHEARSAL_VERBOSE prints it with a backtrace. */
cudaError_t fail(cudaError_t error, const char* what);
/** A function that is asked for and not there: an error's number, of the runtime and of the driver. */
int missing(const char* name);

// graphs.cc
struct Node {
  enum Kind { kernel, copy, set } kind;
  void* to = nullptr;
  const void* from = nullptr;
  size_t bytes = 0;
  int value = 0;
};
struct Graph {
  unsigned long long id;
  std::vector<Node> nodes;
};
struct Stream;
struct Capture {
  cudaStreamCaptureMode mode;
  pthread_t thread;
  Graph* graph;
  std::set<Stream*> streams;
  std::set<Stream*> unjoined;  // streams drawn in by an event that the first one has not waited for yet
  bool invalid = false;
};
struct Stream {
  Capture* capture = nullptr;
};
/** The stream of a handle; null and the two special handles are the legacy stream, which cannot be captured. */
Stream* streamOf(cudaStream_t handle);
/** The number of the graph that the stream is recorded into, 0 where it is not captured. */
unsigned long long captureOf(cudaStream_t handle);
const std::set<Capture*>& captures();
/** Whether a call that waits or allocates is forbidden here and now by a capture, which it then spoils. */
bool forbidden(const char* call);
/** Marks the stream's capture invalid and fails; success where the stream is not captured. */
cudaError_t refuseIfCaptured(cudaStream_t handle, const char* call);
/** Work on a stream: into the graph, where it is captured. True where it is. */
bool enqueue(cudaStream_t handle, const Node& node, const char* what);

// memory.cc
bool onDevice(const void* pointer);
bool isPinned(const void* pointer);
/** memcpy and memset over addresses of the device and of the host. */
void moveBytes(void* to, const void* from, size_t bytes);
void setBytes(void* to, int value, size_t bytes);

// launches.cc
/** A kernel of a library or of NVRTC. detail: its shape in words; elements: how many it writes, 0 where unknown. */
cudaError_t launch(cudaStream_t handle, const char* name, const std::string& detail, long long elements);

}  // namespace rehearsal

/** The call may not be made while a graph is recorded. */
#define FORBIDDEN_IN_CAPTURE(call)  \
  rehearsal::Lock forbiddenLock(rehearsal::everything); \
  if (rehearsal::forbidden(call)) return rehearsal::fail(cudaErrorStreamCaptureUnsupported, call)
