// CUDA graphs: what is done between begin and end is recorded and replayed with one call. The graphs of a thread share one
// memory pool; they run one after another. Where the CPU emulates the GPU's kernels, for tests, a graph records nothing and its replay
// does nothing, but the copies of weights are kept as on a GPU.
#include "ops.h"
#include "prepared.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "../device/launch.h"

#ifdef TFJS_TORCH_CUDA
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <torch/version.h>
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 11)
#include <ATen/core/CachingHostAllocator.h>
#endif
#endif

namespace tfjs_torch {
namespace {

#ifdef TFJS_TORCH_CUDA

// What graphs that are recorded one after another use as memory. libtorch lets go of it with the last of them; nothing can be
// recorded into it after that.
struct Pool {
  const at::cuda::MempoolId_t id = at::cuda::graph_pool_handle();
};

class DeviceGraph {
 public:
  void begin() {
    pool_ = current().lock();
    if (!pool_) current() = pool_ = std::make_shared<Pool>();
    graph_.emplace();
    try {
      // Other threads (reads under way in workers) go on with calls that this thread may not make.
      graph_->capture_begin(pool_->id, cudaStreamCaptureModeThreadLocal);
    } catch (const std::exception&) {
      closePool();
      throw;
    }
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
      closePool();  // the recording was broken off by the error that is on its way to the caller
    }
  }
  void replay() {
    if (graph_) graph_->replay();
  }

 private:
  // Where a recording fails, libtorch leaves the pool open: for memory of the device and, from 2.11 on, for pinned memory, whose
  // allocator would go on asking the graph that is gone. The next graph gets another pool.
  void closePool() {
    current().reset();
    try {
      const auto device = c10::cuda::current_device();
      c10::cuda::CUDACachingAllocator::endAllocateToPool(device, pool_->id);
      c10::cuda::CUDACachingAllocator::releasePool(device, pool_->id);
    } catch (const std::exception&) {
      // It was closed.
    }
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 11)
    try {
      at::getHostAllocator(at::kCUDA)->end_allocate_to_pool(pool_->id);
      at::getHostAllocator(at::kCUDA)->release_pool(pool_->id);
    } catch (const std::exception&) {
      // It was closed.
    }
#endif
  }
  static std::weak_ptr<Pool>& current() {
    thread_local std::weak_ptr<Pool> own;
    return own;
  }
  std::shared_ptr<Pool> pool_;  // before the graph, which uses it to its end
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

// Of all tensors that JavaScript holds. An address is not used again while its storage is held weakly.
using Storages = std::unordered_map<const c10::StorageImpl*, c10::weak_intrusive_ptr<c10::StorageImpl>>;
Storages storagesOf(const TensorTable& table) {
  Storages storages;
  for (const Tensor& x : table.slots()) {
    if (x.defined() && x.has_storage()) storages.emplace(x.storage().unsafeGetStorageImpl(), x.storage().getWeakStorageImpl());
  }
  return storages;
}

struct Graph {
  DeviceGraph device;
  Storages before;  // while recording
  GraphCopies copies;
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
  renewCopies();
  auto graph = std::make_unique<Graph>();
  graph->before = storagesOf(call.state.table);
  if (!pretended) graph->device.begin();
  graphs().recording = std::move(graph);
  beginGraphCopies();
}
double graphEnd(Call& call) {
  TORCH_CHECK(graphs().recording, "no graph is being recorded");
  Graph& graph = *graphs().recording;
  graph.copies = endGraphCopies();
  // Of what came and went while recording nobody has a copy, and something else may come to lie there.
  auto& written = graph.copies.written;
  const auto isPassing = [&](const CopyOf& one) { return !graph.before.count(one.storage); };
  written.erase(std::remove_if(written.begin(), written.end(), isPassing), written.end());
  // What it gives is written by each replay, though by no operation in place.
  for (const auto& [storage, held] : storagesOf(call.state.table)) {
    if (!graph.before.count(storage)) written.push_back({storage, {}});
  }
  graph.before.clear();
  graph.device.end();
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
  renewCopiesReadBy(graph.copies);
  graph.device.replay();
  forgetCopiesWrittenBy(graph.copies);
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
