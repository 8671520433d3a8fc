// Capture of streams into graphs, with CUDA's rules, and their replay, which does the copies and fills.
#include <utility>

#include "shared.h"

namespace rehearsal {
namespace {
thread_local cudaStreamCaptureMode threadMode = cudaStreamCaptureModeGlobal;

std::set<Capture*>& active() {
  static auto* captures = new std::set<Capture*>;
  return *captures;
}
Graph* graphOf(cudaGraph_t handle) { return reinterpret_cast<Graph*>(handle); }
Graph* graphOf(cudaGraphExec_t handle) { return reinterpret_cast<Graph*>(handle); }
}  // namespace

const std::set<Capture*>& captures() { return active(); }

unsigned long long captureOf(cudaStream_t handle) {
  const Capture* capture = streamOf(handle)->capture;
  return capture ? capture->graph->id : 0;
}

bool forbidden(const char* call) {
  for (Capture* capture : active()) {
    const bool own = pthread_equal(capture->thread, pthread_self());
    const bool allowed =
        threadMode == cudaStreamCaptureModeRelaxed || capture->mode == cudaStreamCaptureModeRelaxed ||
        (!own && (threadMode != cudaStreamCaptureModeGlobal || capture->mode != cudaStreamCaptureModeGlobal));
    if (allowed) continue;
    capture->invalid = true;
    violation(std::string(call) + " while a graph is recorded" + (own ? "" : " by another thread"));
    return true;
  }
  return false;
}

cudaError_t refuseIfCaptured(cudaStream_t handle, const char* call) {
  Capture* capture = streamOf(handle)->capture;
  if (!capture) return cudaSuccess;
  capture->invalid = true;
  violation(std::string(call) + " on a captured stream");
  return fail(cudaErrorStreamCaptureUnsupported, call);
}

bool enqueue(cudaStream_t handle, const Node& node, const char* what) {
  if (Capture* capture = streamOf(handle)->capture) {
    capture->graph->nodes.push_back(node);
    return true;
  }
  for (const Capture* capture : active()) {
    // Allowed, but what is meant for the graph would be missing from it.
    if (pthread_equal(capture->thread, pthread_self())) violation(std::string(what) + " beside the graph that is recorded");
  }
  return false;
}

}  // namespace rehearsal

using namespace rehearsal;

extern "C" {

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  std::swap(*mode, threadMode);
  return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  Lock lock(everything);
  static unsigned long long next = 1;
  Stream* stream = streamOf(handle);
  if (stream == streamOf(nullptr) || stream->capture) {
    return fail(cudaErrorStreamCaptureUnsupported, "cudaStreamBeginCapture");
  }
  stream->capture = new Capture{mode, pthread_self(), new Graph{next++, {}}, {stream}, {}};
  active().insert(stream->capture);
  trace("begin\t%llu", captureOf(handle));
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* graph) {
  Lock lock(everything);
  *graph = nullptr;
  Capture* capture = streamOf(handle)->capture;
  if (!capture) return fail(cudaErrorIllegalState, "cudaStreamEndCapture");
  for (Stream* stream : capture->streams) stream->capture = nullptr;
  active().erase(capture);
  const Capture ended = *capture;
  delete capture;
  const bool usable = !ended.invalid && ended.unjoined.empty();
  trace("end\t%llu\t%zu\t%s", ended.graph->id, ended.graph->nodes.size(), usable ? "usable" : "invalid");
  if (!usable) {
    delete ended.graph;
    return fail(ended.invalid ? cudaErrorStreamCaptureInvalidated : cudaErrorStreamCaptureUnjoined, "cudaStreamEndCapture");
  }
  *graph = reinterpret_cast<cudaGraph_t>(ended.graph);
  return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
  Lock lock(everything);
  const Capture* capture = streamOf(handle)->capture;
  *status = !capture            ? cudaStreamCaptureStatusNone
            : capture->invalid ? cudaStreamCaptureStatusInvalidated
                               : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}
cudaError_t cudaStreamGetCaptureInfo(cudaStream_t handle, cudaStreamCaptureStatus* status, unsigned long long* id,
                                     cudaGraph_t* graph, const cudaGraphNode_t** dependencies,
                                     const cudaGraphEdgeData** edges, size_t* count) {
  Lock lock(everything);
  cudaStreamIsCapturing(handle, status);
  const Capture* capture = streamOf(handle)->capture;
  static const cudaGraphNode_t none[1] = {};
  if (id) *id = captureOf(handle);
  if (graph) *graph = capture ? reinterpret_cast<cudaGraph_t>(capture->graph) : nullptr;
  if (dependencies) *dependencies = none;
  if (edges) *edges = nullptr;
  if (count) *count = 0;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  *executable = reinterpret_cast<cudaGraphExec_t>(new Graph(*graphOf(graph)));
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long flags) {
  return cudaGraphInstantiateWithFlags(executable, graph, flags);
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  Lock lock(everything);
  if (const auto error = refuseIfCaptured(stream, "cudaGraphLaunch")) return error;
  const Graph& graph = *graphOf(executable);
  for (const Node& node : graph.nodes) {
    if (node.kind == Node::copy) moveBytes(node.to, node.from, node.bytes);
    if (node.kind == Node::set) setBytes(node.to, node.value, node.bytes);
  }
  trace("replay\t%llu\t%zu", graph.id, graph.nodes.size());
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graphOf(graph);
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete graphOf(executable);
  return cudaSuccess;
}
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t*, size_t* count) {
  *count = graphOf(graph)->nodes.size();
  return cudaSuccess;
}
cudaError_t cudaGraphNodeGetDependencies(cudaGraphNode_t, cudaGraphNode_t*, cudaGraphEdgeData*, size_t* count) {
  *count = 0;
  return cudaSuccess;
}
cudaError_t cudaGraphDebugDotPrint(cudaGraph_t, const char*, unsigned) { return cudaSuccess; }
}
