// Kernels: libtorch registers them by name when it is loaded; a launch checks its shape and is written down.
#include <cstdio>
#include <cstring>
#include <unordered_map>

#include "shared.h"

namespace rehearsal {
namespace {

constexpr size_t mostSharedBytes = 232448;  // of an H100, for kernels that ask for it

struct Variable {
  size_t bytes;
  void* address;
};
struct Configuration {
  dim3 grid, block;
  size_t shared;
  cudaStream_t stream;
};
thread_local std::vector<Configuration> configurations;

std::unordered_map<const void*, std::string>& names() {
  static auto* names = new std::unordered_map<const void*, std::string>;
  return *names;
}
std::unordered_map<const void*, Variable>& variables() {
  static auto* variables = new std::unordered_map<const void*, Variable>;
  return *variables;
}

// libtorch's elementwise kernels take their number of elements first, as an int.
long long elementsOf(const std::string& name, void** arguments) {
  if (name.find("elementwise_kernel") == std::string::npos || !arguments || !arguments[0]) return 0;
  int elements;
  memcpy(&elements, arguments[0], sizeof elements);
  return elements > 0 ? elements : 0;
}

cudaError_t launchKernel(const void* function, dim3 grid, dim3 block, void** arguments, size_t shared, cudaStream_t stream) {
  const size_t threads = size_t(block.x) * block.y * block.z;
  const bool fits = grid.x && grid.y && grid.z && grid.y <= 65535 && grid.z <= 65535 && threads && threads <= 1024 &&
                    block.z <= 64 && shared <= mostSharedBytes;
  if (!fits) return fail(cudaErrorInvalidConfiguration, "launch");
  if (!tracing()) return launch(stream, "", "", 0);
  Lock lock(everything);
  const auto found = names().find(function);
  const std::string name = found == names().end() ? "unregistered" : found->second;
  char detail[120];
  snprintf(detail, sizeof detail, "grid %u,%u,%u block %u,%u,%u shared %zu", grid.x, grid.y, grid.z, block.x, block.y,
           block.z, shared);
  return launch(stream, name.c_str(), detail, elementsOf(name, arguments));
}

}  // namespace

cudaError_t launch(cudaStream_t stream, const char* name, const std::string& detail, long long elements) {
  Lock lock(everything);
  trace("kernel\t%llu\t%s\t%lld\t%s", captureOf(stream), name, elements, detail.c_str());
  enqueue(stream, {Node::kernel}, name);
  return cudaSuccess;
}

void launchStub(void* stream, const char* name) { launch(static_cast<cudaStream_t>(stream), name, "", 0); }

}  // namespace rehearsal

using namespace rehearsal;

extern "C" {

void** __cudaRegisterFatBinary(void*) {
  static void* handle;
  return &handle;
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
void __cudaRegisterFunction(void**, const char* host, char*, const char* name, int, uint3*, uint3*, dim3*, dim3*, int*) {
  Lock lock(everything);
  names()[host] = name;
}
void __cudaRegisterVar(void**, char* host, char*, const char*, int, size_t bytes, int, int) {
  Lock lock(everything);
  variables()[host] = {bytes, nullptr};
}
void __cudaRegisterManagedVar(void**, void**, char*, const char*, int, size_t, int, int) {}
char __cudaInitModule(void**) { return 0; }
cudaError_t cudaGetSymbolAddress(void** pointer, const void* symbol) {
  Lock lock(everything);
  Variable& variable = variables()[symbol];
  if (!variable.address) {
    if (const auto error = cudaMalloc(&variable.address, variable.bytes)) return error;
  }
  *pointer = variable.address;
  return cudaSuccess;
}

// What nvcc makes of kernel<<<grid, block, shared, stream>>>(...).
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, CUstream_st* stream) {
  configurations.push_back({grid, block, shared, stream});
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared, void* stream) {
  const Configuration last = configurations.back();
  configurations.pop_back();
  *grid = last.grid;
  *block = last.block;
  *shared = last.shared;
  memcpy(stream, &last.stream, sizeof last.stream);
  return cudaSuccess;
}
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* function) {
  *kernel = reinterpret_cast<cudaKernel_t>(const_cast<void*>(function));
  return cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments, size_t shared,
                               cudaStream_t stream) {
  return launchKernel(reinterpret_cast<const void*>(kernel), grid, block, arguments, shared, stream);
}
cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void** arguments, size_t shared,
                             cudaStream_t stream) {
  return launchKernel(function, grid, block, arguments, shared, stream);
}
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* function, void** arguments) {
  return launchKernel(function, config->gridDim, config->blockDim, arguments, config->dynamicSmemBytes, config->stream);
}
cudaError_t cudaLaunchCooperativeKernel(const void* function, dim3 grid, dim3 block, void** arguments, size_t shared,
                                        cudaStream_t stream) {
  return launchKernel(function, grid, block, arguments, shared, stream);
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void*) {
  *attributes = {};
  attributes->maxThreadsPerBlock = 1024;
  attributes->numRegs = 32;
  attributes->binaryVersion = attributes->ptxVersion = 90;
  return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) { return cudaSuccess; }
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void*, int threads, size_t, unsigned) {
  *blocks = threads > 0 && threads <= 1024 ? 2048 / threads : 1;
  return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* function, int threads, size_t shared) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, function, threads, shared, 0);
}
}
