// CUDA graphs: what is done between begin and end is recorded and replayed with one call. All graphs of a thread share one
// memory pool; they run one after another.
#include "ops.h"
#include "prepared.h"

#ifdef TFJS_TORCH_CUDA
#include <map>

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#endif

namespace tfjs_torch {
namespace {

#ifdef TFJS_TORCH_CUDA

struct Graphs {
  std::optional<at::cuda::MempoolId_t> pool;
  std::unique_ptr<at::cuda::CUDAGraph> recording;
  std::map<int64_t, std::unique_ptr<at::cuda::CUDAGraph>> recorded;
  int64_t next = 1;
};
Graphs& graphs() {
  thread_local Graphs own;
  return own;
}
at::cuda::CUDAGraph& graphOf(int64_t number) {
  const auto found = graphs().recorded.find(number);
  TORCH_CHECK(found != graphs().recorded.end(), "there is no graph ", number);
  return *found->second;
}

void graphBegin(Call& call) {
  TORCH_CHECK(call.state.device.is_cuda(), "graphs are recorded on CUDA only");
  TORCH_CHECK(!graphs().recording, "a graph is being recorded already");
  if (!graphs().pool) graphs().pool = at::cuda::graph_pool_handle();
  auto graph = std::make_unique<at::cuda::CUDAGraph>();
  // Other threads (reads under way in workers) go on with calls that this thread may not make.
  graph->capture_begin(*graphs().pool, cudaStreamCaptureModeThreadLocal);
  graphs().recording = std::move(graph);
  beginGraphCopies();
}
double graphEnd(Call&) {
  TORCH_CHECK(graphs().recording, "no graph is being recorded");
  endGraphCopies();
  graphs().recording->capture_end();
  const int64_t number = graphs().next++;
  graphs().recorded[number] = std::move(graphs().recording);
  return static_cast<double>(number);
}
// After an error: whatever was recorded is dropped.
void graphAbort(Call&) {
  endGraphCopies();
  const auto graph = std::move(graphs().recording);
  if (!graph) return;
  try {
    graph->capture_end();
  } catch (const std::exception&) {
    // The recording was broken off by the error that is on its way to the caller. capture_end, where it fails, may leave the
    // pool open, into which nothing can be recorded again: it is closed, and the next graph gets another.
    const at::cuda::MempoolId_t pool = *std::exchange(graphs().pool, std::nullopt);
    try {
      c10::cuda::CUDACachingAllocator::endAllocateToPool(c10::cuda::current_device(), pool);
    } catch (const std::exception&) {
      // It was closed.
    }
  }
}
void graphReplay(Call&, int64_t number) {
  graphOf(number).replay();
  forgetAllCopies();
}
void graphRelease(Call&, int64_t number) {
  graphOf(number);
  graphs().recorded.erase(number);
}

#else

[[noreturn]] void refuse() { TORCH_CHECK(false, "graphs need a build for CUDA"); }
void graphBegin(Call&) { refuse(); }
double graphEnd(Call&) { refuse(); }
void graphAbort(Call&) {}
void graphReplay(Call&, int64_t) { refuse(); }
void graphRelease(Call&, int64_t) { refuse(); }

#endif

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
