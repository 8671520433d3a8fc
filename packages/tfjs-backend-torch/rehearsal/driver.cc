// The driver as far as libtorch's NVRTC library and this backend's own launches use it; the rest are stubs.
#include <cuda.h>
#include <elf.h>

#include <cstdio>
#include <cstring>

#include "shared.h"

using namespace rehearsal;

namespace {

struct Module {
  unsigned parameterBytes = 0;
  std::string function;
  bool mayUseMore = false;  // than 48 KiB of shared memory: it asked with cuFuncSetAttribute
};
constexpr unsigned sharedBytesUnasked = 49152, mostSharedBytes = 232448;

template <class T>
const T* at(const void* image, size_t offset) {
  return reinterpret_cast<const T*>(static_cast<const char*>(image) + offset);
}

// The bytes of a cubin's one kernel's parameters: EIATTR_CBANK_PARAM_SIZE in its section .nv.info.NAME, a list of
// {format, attribute, 16-bit value or length}.
unsigned parameterBytesOf(const void* image) {
  constexpr unsigned char parameterSize = 0x19, valueFollows = 4;
  const auto& header = *at<Elf64_Ehdr>(image, 0);
  const auto* sections = at<Elf64_Shdr>(image, header.e_shoff);
  const char* names = at<char>(image, sections[header.e_shstrndx].sh_offset);
  for (int i = 0; i < header.e_shnum; i++) {
    if (strncmp(names + sections[i].sh_name, ".nv.info.", 9)) continue;
    const auto* bytes = at<unsigned char>(image, sections[i].sh_offset);
    for (size_t j = 0; j + 4 <= sections[i].sh_size;) {
      unsigned short value;
      memcpy(&value, bytes + j + 2, sizeof value);
      if (bytes[j + 1] == parameterSize) return value;
      j += 4 + (bytes[j] == valueFollows ? value : 0);
    }
  }
  return 0;
}

}  // namespace

extern "C" {

CUresult cuGetErrorString(CUresult error, const char** text) {
  static thread_local char number[40];
  snprintf(number, sizeof number, "CUDA driver error %d", error);
  *text = number;
  return CUDA_SUCCESS;
}
CUresult cuDeviceGet(CUdevice* device, int) {
  *device = 0;
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice) {
  cudaDeviceGetAttribute(value, static_cast<cudaDeviceAttr>(attribute), 0);  // the same numbers
  return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxGetState(CUdevice, unsigned* flags, int* active) {
  *flags = 0;
  *active = 1;
  return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice) { return cuCtxGetCurrent(context); }
CUresult cuCtxGetCurrent(CUcontext* context) {
  static char only;
  *context = reinterpret_cast<CUcontext>(&only);
  return CUDA_SUCCESS;
}
CUresult cuCtxSetCurrent(CUcontext) { return CUDA_SUCCESS; }

CUresult cuModuleLoadData(CUmodule* module, const void* image) {
  if (memcmp(image, ELFMAG, SELFMAG)) return CUDA_ERROR_INVALID_IMAGE;
  {
    Lock lock(everything);
    // Waits for the device, which a recording forbids in some drivers: the first calls of a step are to load everything.
    for (const Capture* capture : captures()) {
      if (pthread_equal(capture->thread, pthread_self())) violation("cuModuleLoadData while a graph is recorded");
    }
  }
  *module = reinterpret_cast<CUmodule>(new Module{parameterBytesOf(image), ""});
  return CUDA_SUCCESS;
}
CUresult cuModuleUnload(CUmodule) { return CUDA_SUCCESS; }
CUresult cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name) {
  reinterpret_cast<Module*>(module)->function = name;
  *function = reinterpret_cast<CUfunction>(module);
  return CUDA_SUCCESS;
}
CUresult cuFuncGetAttribute(int* value, CUfunction_attribute, CUfunction) {
  *value = 0;
  return CUDA_SUCCESS;
}
CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int) {
  if (attribute == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) reinterpret_cast<Module*>(function)->mayUseMore = true;
  return CUDA_SUCCESS;
}
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction, int threads, size_t) {
  return static_cast<CUresult>(cudaOccupancyMaxActiveBlocksPerMultiprocessor(blocks, nullptr, threads, 0));
}
CUresult cuPointerGetAttribute(void*, CUpointer_attribute, CUdeviceptr) { return CUDA_ERROR_INVALID_VALUE; }

CUresult cuLaunchKernel(CUfunction function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX,
                        unsigned blockY, unsigned blockZ, unsigned shared, CUstream stream, void** parameters, void**) {
  const Module& module = *reinterpret_cast<Module*>(function);
  const unsigned threads = blockX * blockY * blockZ;
  const bool fits = gridX && gridY && gridZ && threads && threads <= 1024 &&
                    shared <= (module.mayUseMore ? mostSharedBytes : sharedBytesUnasked);
  if (!fits) return CUDA_ERROR_INVALID_VALUE;
  // CUDA copies the parameters now; memory that is not there would crash here as well.
  volatile char sum = 0;
  for (unsigned i = 0; i < module.parameterBytes; i++) sum = sum + static_cast<const char*>(parameters[0])[i];
  char detail[120];
  snprintf(detail, sizeof detail, "grid %u,%u,%u block %u,%u,%u shared %u parameters %u", gridX, gridY, gridZ, blockX,
           blockY, blockZ, shared, module.parameterBytes);
  launch(stream, module.function.c_str(), detail, 0);
  return CUDA_SUCCESS;
}
}
