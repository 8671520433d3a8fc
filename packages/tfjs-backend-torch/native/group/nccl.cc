// NCCL, in a build for CUDA with its header. Its errors come late: a rank that is gone shows when libtorch's watchdog, after
// `exchangeTimeout`, ends the process.
#include "collectives.h"

#ifdef TFJS_TORCH_NCCL
#define USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

namespace tfjs_torch {

#ifdef TFJS_TORCH_NCCL

c10::intrusive_ptr<Collectives> openNccl(const Store& store, int rank, int worldSize) {
  const auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = exchangeTimeout;
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, worldSize, options);
}

void closeNccl(Collectives& collectives) {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 11)
  collectives.shutdown();
#endif
}
void abortNccl(Collectives& collectives) {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 11)
  collectives.abort();
#endif
}

void meanByNccl(Collectives& collectives, std::vector<at::Tensor>& tensors) {
  c10d::AllreduceCoalescedOptions options;
  options.reduceOp = c10d::ReduceOp::AVG;
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 11)
  options.asyncOp = false;  // on the current stream itself
#endif
  const auto work = collectives.allreduce_coalesced(tensors, options);
  if (work) work->wait();  // the stream waits, the host does not
}

#else

c10::intrusive_ptr<Collectives> openNccl(const Store&, int, int) {
  TORCH_CHECK(false, "this build has no groups of processes on GPUs: nccl.h was not found when it was built (pip install the nvidia-nccl wheel "
                     "in the version of torch's other nvidia wheels, or NCCL's own package, and build again)");
}
void closeNccl(Collectives&) {}
void abortNccl(Collectives&) {}
void meanByNccl(Collectives&, std::vector<at::Tensor>&) { TORCH_CHECK(false, "this build has no NCCL"); }

#endif

}  // namespace tfjs_torch
