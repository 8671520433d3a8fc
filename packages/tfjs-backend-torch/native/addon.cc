// The addon's export table. Loads once per environment: the main thread and every worker have a tensor table of their own.
#include <cstdlib>
#include <cstring>

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include "host_allocator.h"
#include "ops/ops.h"
#include "stream.h"

namespace tfjs_torch {
namespace {

// TFJS_TORCH_DEVICE=cpu keeps a CUDA build on the CPU.
c10::Device chooseDevice() {
  const char* wish = std::getenv("TFJS_TORCH_DEVICE");
  if (wish && std::strcmp(wish, "cpu") == 0) return c10::Device(c10::kCPU);
  if (at::hasCUDA() && at::detail::getCUDAHooks().getNumGPUs() > 0) return c10::Device(c10::kCUDA, 0);
  TORCH_CHECK(!wish || std::strcmp(wish, "cuda") != 0, "TFJS_TORCH_DEVICE is cuda, and this libtorch finds no CUDA device");
  return c10::Device(c10::kCPU);
}

napi_value initialise(napi_env env, napi_value exports) {
  try {
    installHostAllocator();
    auto state = std::make_unique<State>();
    state->device = chooseDevice();
    chooseStream(state->device);
    Exports functions;
    for (const auto exporter : {exportStorage, exportUnary, exportBinary, exportReduce, exportShape, exportIndex, exportMatmul,
                                exportConv, exportPool, exportNorm, exportImage, exportComplex, exportFused, exportOptimizer, exportRandom,
                                exportGraph}) {
      exporter(functions);
    }
    for (const Export& function : functions) {
      napi_value value;
      napi_create_function(env, function.name, NAPI_AUTO_LENGTH, function.call, state.get(), &value);
      napi_set_named_property(env, exports, function.name, value);
    }
    napi_set_instance_data(env, state.release(), [](napi_env, void* data, void*) { delete static_cast<State*>(data); }, nullptr);
  } catch (...) {
    throwAsJavaScript(env);
  }
  return exports;
}

}  // namespace
}  // namespace tfjs_torch

NAPI_MODULE_INIT() { return tfjs_torch::initialise(env, exports); }
