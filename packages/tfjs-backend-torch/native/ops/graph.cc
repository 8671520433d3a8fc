// CUDA graphs: what is done between begin and end is recorded and replayed with one call. All graphs of a thread share one
// memory pool; they run one after another. Where the CPU emulates the GPU's kernels, for tests, a graph records nothing and its replay
// does nothing, but the copies of weights are kept as on a GPU.
#include "ops.h"
#include "prepared.h"

#include <map>

#include "../device/launch.h"

#ifdef TFJS_TORCH_CUDA
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#endif

namespace tfjs_torch {
namespace {

#ifdef TFJS_TORCH_CUDA

class DeviceGraph {
 public:
  void begin() {
    if (!pool()) pool() = at::cuda::graph_pool_handle();
    graph_.emplace();
    // Other threads (reads under way in workers) go on with calls that this thread may not make.
    graph_->capture_begin(*pool(), cudaStreamCaptureModeThreadLocal);
  }
  void end() {
    if (graph_) graph_->capture_end();
  }
  // After an error: whatever was recorded is dropped.
  void abort() {
    if (!graph_) return;
    try {
      graph_->capture_end();
    } catch (const std::exception&) {
      // The recording was broken off by the error that is on its way to the caller. capture_end, where it fails, may leave the
      // pool open, into which nothing can be recorded again: it is closed, and the next graph gets another.
      const at::cuda::MempoolId_t left = *std::exchange(pool(), std::nullopt);
      try {
        c10::cuda::CUDACachingAllocator::endAllocateToPool(c10::cuda::current_device(), left);
      } catch (const std::exception&) {
        // It was closed.
      }
    }
  }
  void replay() {
    if (graph_) graph_->replay();
  }

 private:
  static std::optional<at::cuda::MempoolId_t>& pool() {
    thread_local std::optional<at::cuda::MempoolId_t> own;
    return own;
  }
  std::optional<at::cuda::CUDAGraph> graph_;
};

#else

class DeviceGraph {
 public:
  void begin() { TORCH_CHECK(false, "graphs need a build for CUDA"); }
  void end() {}
  void abort() {}
  void replay() {}
};

#endif

struct Graph {
  DeviceGraph device;
  Written written;
};
struct Graphs {
  std::unique_ptr<Graph> recording;
  std::map<int64_t, std::unique_ptr<Graph>> recorded;
  int64_t next = 1;
};
Graphs& graphs() {
  thread_local Graphs own;
  return own;
}
Graph& graphOf(int64_t number) {
  const auto found = graphs().recorded.find(number);
  TORCH_CHECK(found != graphs().recorded.end(), "there is no graph ", number);
  return *found->second;
}

void graphBegin(Call& call) {
  const bool pretended = call.state.device.is_cpu() && emulating();
  TORCH_CHECK(call.state.device.is_cuda() || pretended, "graphs are recorded on CUDA only");
  TORCH_CHECK(!graphs().recording, "a graph is being recorded already");
  auto graph = std::make_unique<Graph>();
  if (!pretended) graph->device.begin();
  graphs().recording = std::move(graph);
  beginGraphCopies();
}
double graphEnd(Call&) {
  TORCH_CHECK(graphs().recording, "no graph is being recorded");
  graphs().recording->written = endGraphCopies();
  graphs().recording->device.end();
  const int64_t number = graphs().next++;
  graphs().recorded[number] = std::move(graphs().recording);
  return static_cast<double>(number);
}
void graphAbort(Call&) {
  endGraphCopies();
  const auto graph = std::move(graphs().recording);
  if (graph) graph->device.abort();
}
void graphReplay(Call&, int64_t number) {
  Graph& graph = graphOf(number);
  renewGraphCopies();
  graph.device.replay();
  forgetCopiesOf(graph.written);
}
void graphRelease(Call&, int64_t number) {
  graphOf(number);
  graphs().recorded.erase(number);
}

}  // namespace

void exportGraph(Exports& exports) {
  exports.insert(exports.end(), {
      bind<graphBegin>("graphBegin"),
      bind<graphEnd>("graphEnd"),
      bind<graphAbort>("graphAbort"),
      bind<graphReplay>("graphReplay"),
      bind<graphRelease>("graphRelease"),
  });
}

}  // namespace tfjs_torch
