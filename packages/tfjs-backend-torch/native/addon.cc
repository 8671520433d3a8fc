// The addon's export table. Loads once per environment: the main thread and every worker have a tensor table of their own.
#include <cstdlib>
#include <cstring>
#include <mutex>

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include "device/launch.h"
#include "host_allocator.h"
#include "ops/ops.h"
#include "ops/precision.h"
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

// What libtorch would choose otherwise: convolutions in TF32, and cuDNN's algorithms by rule of thumb instead of by trying.
// TFJS_TORCH_DETERMINISTIC=1 takes no algorithm that adds up in an order of its own, and tries none.
void choosePolicies(c10::Device device) {
  static std::once_flag once;
  std::call_once(once, [&] {
    setPrecision(Precision::fp32);
    if (!device.is_cuda()) return;
    const char* wish = std::getenv("TFJS_TORCH_DETERMINISTIC");
    const bool deterministic = wish && std::strcmp(wish, "1") == 0;
    at::globalContext().setBenchmarkCuDNN(!deterministic);
    at::globalContext().setDeterministicCuDNN(deterministic);
    at::globalContext().setDeterministicAlgorithms(deterministic, /*warn_only=*/true);
    openCompiler();
  });
}
// CUDA's allocator starts with the first tensor, and may be asked for its figures before.
void startAllocator(c10::Device device) {
  if (device.is_cuda()) at::empty({0}, at::TensorOptions().device(device));
}

napi_value initialise(napi_env env, napi_value exports) {
  try {
    installHostAllocator();
    auto state = std::make_unique<State>();
    state->device = chooseDevice();
    choosePolicies(state->device);
    chooseStream(state->device);
    startAllocator(state->device);
    Exports functions;
    for (const auto exporter : {exportStorage, exportUnary, exportBinary, exportReduce, exportShape, exportIndex, exportMatmul,
                                exportConv, exportPool, exportNorm, exportImage, exportComplex, exportFused, exportFusedNorms, exportOptimizer, exportRandom,
                                exportGraph, exportGroup}) {
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
