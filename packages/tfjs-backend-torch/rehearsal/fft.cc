// cuFFT as far as libtorch uses it: plans are numbers, and an execution is one kernel.
#include <cufftXt.h>

#include <map>

#include "shared.h"

using namespace rehearsal;

namespace {
std::map<cufftHandle, cudaStream_t>& streams() {
  static auto* streams = new std::map<cufftHandle, cudaStream_t>;
  return *streams;
}
}  // namespace

extern "C" {

cufftResult cufftCreate(cufftHandle* plan) {
  Lock lock(everything);
  static cufftHandle next = 1;
  *plan = next++;
  return CUFFT_SUCCESS;
}
cufftResult cufftDestroy(cufftHandle plan) {
  Lock lock(everything);
  streams().erase(plan);
  return CUFFT_SUCCESS;
}
cufftResult cufftSetAutoAllocation(cufftHandle, int) { return CUFFT_SUCCESS; }
cufftResult cufftSetWorkArea(cufftHandle, void*) { return CUFFT_SUCCESS; }
cufftResult cufftSetStream(cufftHandle plan, cudaStream_t stream) {
  Lock lock(everything);
  streams()[plan] = stream;
  return CUFFT_SUCCESS;
}
cufftResult cufftXtMakePlanMany(cufftHandle, int, long long*, long long*, long long, long long, cudaDataType, long long*,
                                long long, long long, cudaDataType, long long, size_t* workspaceBytes, cudaDataType) {
  *workspaceBytes = 0;
  return CUFFT_SUCCESS;
}
cufftResult cufftXtExec(cufftHandle plan, void*, void*, int) {
  Lock lock(everything);
  launch(streams()[plan], "cufftXtExec", "", 0);
  return CUFFT_SUCCESS;
}
}
