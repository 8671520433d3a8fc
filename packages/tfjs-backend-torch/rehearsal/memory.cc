// Memory. The device's is a range of addresses that the host may not touch; the same pages are mapped a second time for the copies.
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <unordered_map>

#include "shared.h"

namespace rehearsal {
namespace {

constexpr size_t deviceBytes = size_t(79) << 30;   // what an H100 of 80 GB says it has
constexpr size_t rangeBytes = size_t(400) << 30;   // addresses, more than memory: the driver never runs short of them
constexpr size_t granule = 512;

char* device = nullptr;  // PROT_NONE: a host access crashes, as it does on a GPU
char* shadow = nullptr;  // the same pages, for the copies
size_t usedBytes = 0;
std::map<size_t, size_t> freeBlocks, usedBlocks;  // offset -> bytes

std::map<const char*, size_t>& pinnedBlocks() {
  static auto* blocks = new std::map<const char*, size_t>;  // never destroyed: libraries free in their own destructors
  return *blocks;
}

struct sigaction before;
void onFault(int number, siginfo_t* info, void* context) {
  if (onDevice(info->si_addr)) {
    violation("host access to device memory");
    fprintf(stderr, "rehearsal: the host touched device memory at %p\n", info->si_addr);
    signal(SIGSEGV, SIG_DFL);
    return;  // the access is tried again, and ends the process
  }
  if (before.sa_flags & SA_SIGINFO) return before.sa_sigaction(number, info, context);
  if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) return before.sa_handler(number);
  signal(SIGSEGV, SIG_DFL);
}

void mapDevice() {
  if (device) return;
  const int file = memfd_create("rehearsal", MFD_CLOEXEC);
  if (file < 0 || ftruncate(file, rangeBytes)) {
    perror("rehearsal: memfd");
    abort();
  }
  const int flags = MAP_SHARED | MAP_NORESERVE;
  void* host = mmap(nullptr, rangeBytes, PROT_READ | PROT_WRITE, flags, file, 0);
  void* own = mmap(nullptr, rangeBytes, PROT_NONE, flags, file, 0);
  if (host == MAP_FAILED || own == MAP_FAILED) {
    perror("rehearsal: mmap");
    abort();
  }
  shadow = static_cast<char*>(host);
  device = static_cast<char*>(own);
  freeBlocks[0] = rangeBytes;
  struct sigaction action = {};
  action.sa_sigaction = onFault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGSEGV, &action, &before);
}

char* reachable(const void* pointer) {
  char* bytes = static_cast<char*>(const_cast<void*>(pointer));
  return onDevice(pointer) ? shadow + (bytes - device) : bytes;
}

}  // namespace

bool onDevice(const void* pointer) {
  const char* byte = static_cast<const char*>(pointer);
  return device && byte >= device && byte < device + rangeBytes;
}

bool isPinned(const void* pointer) {
  const char* byte = static_cast<const char*>(pointer);
  auto& blocks = pinnedBlocks();
  auto after = blocks.upper_bound(byte);
  if (after == blocks.begin()) return false;
  const auto& [start, bytes] = *std::prev(after);
  return byte < start + bytes;
}

void moveBytes(void* to, const void* from, size_t bytes) {
  static const bool zeros = getenv("REHEARSAL_ZEROS") != nullptr;
  if (zeros && onDevice(from) && !onDevice(to)) {
    memset(to, 0, bytes);  // no kernel has written what is read
  } else {
    memmove(reachable(to), reachable(from), bytes);
  }
}

void setBytes(void* to, int value, size_t bytes) {
  constexpr size_t worthIts = 1 << 20;  // zeroing more only costs pages
  if (value || bytes < worthIts || !onDevice(to)) memset(reachable(to), value, bytes);
}

}  // namespace rehearsal

using namespace rehearsal;

extern "C" {

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  FORBIDDEN_IN_CAPTURE("cudaMalloc");
  mapDevice();
  bytes = bytes ? (bytes + granule - 1) / granule * granule : granule;
  if (usedBytes + bytes > deviceBytes) return fail(cudaErrorMemoryAllocation, "cudaMalloc");
  for (const auto& [offset, size] : freeBlocks) {
    if (size < bytes) continue;
    const size_t at = offset, rest = size - bytes;
    freeBlocks.erase(at);
    if (rest) freeBlocks[at + bytes] = rest;
    usedBlocks[at] = bytes;
    usedBytes += bytes;
    *pointer = device + at;
    trace("malloc\tdevice\t%zu", bytes);
    return cudaSuccess;
  }
  return fail(cudaErrorMemoryAllocation, "cudaMalloc");
}
cudaError_t cudaFree(void* pointer) {
  if (!pointer) return cudaSuccess;
  FORBIDDEN_IN_CAPTURE("cudaFree");
  const auto used = onDevice(pointer) ? usedBlocks.find(static_cast<char*>(pointer) - device) : usedBlocks.end();
  if (used == usedBlocks.end()) return fail(cudaErrorInvalidValue, "cudaFree");
  size_t at = used->first, bytes = used->second;
  usedBlocks.erase(used);
  usedBytes -= bytes;
  trace("free\tdevice\t%zu", bytes);
  madvise(shadow + at, bytes, MADV_REMOVE);
  auto next = freeBlocks.upper_bound(at);
  if (next != freeBlocks.end() && next->first == at + bytes) {
    bytes += next->second;
    next = freeBlocks.erase(next);
  }
  if (next != freeBlocks.begin()) {
    const auto previous = std::prev(next);
    if (previous->first + previous->second == at) {
      at = previous->first;
      bytes += previous->second;
    }
  }
  freeBlocks[at] = bytes;
  return cudaSuccess;
}
cudaError_t cudaMallocAsync(void** pointer, size_t bytes, cudaStream_t) { return cudaMalloc(pointer, bytes); }
cudaError_t cudaFreeAsync(void* pointer, cudaStream_t) { return cudaFree(pointer); }
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  Lock lock(everything);
  *total = deviceBytes;
  *free = deviceBytes - usedBytes;
  return cudaSuccess;
}

cudaError_t cudaHostAlloc(void** pointer, size_t bytes, unsigned) {
  FORBIDDEN_IN_CAPTURE("cudaHostAlloc");
  if (posix_memalign(pointer, 4096, bytes ? bytes : 1)) return fail(cudaErrorMemoryAllocation, "cudaHostAlloc");
  pinnedBlocks()[static_cast<char*>(*pointer)] = bytes;
  trace("malloc\tpinned\t%zu", bytes);
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* pointer) {
  FORBIDDEN_IN_CAPTURE("cudaFreeHost");
  pinnedBlocks().erase(static_cast<char*>(pointer));
  free(pointer);
  return cudaSuccess;
}
cudaError_t cudaHostRegister(void* pointer, size_t bytes, unsigned) {
  Lock lock(everything);
  pinnedBlocks()[static_cast<char*>(pointer)] = bytes;
  return cudaSuccess;
}
cudaError_t cudaHostUnregister(void* pointer) {
  Lock lock(everything);
  pinnedBlocks().erase(static_cast<char*>(pointer));
  return cudaSuccess;
}
cudaError_t cudaHostGetDevicePointer(void** pointer, void* host, unsigned) {
  *pointer = host;
  return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  Lock lock(everything);
  *attributes = {};
  void* address = const_cast<void*>(pointer);
  if (onDevice(pointer)) {
    attributes->type = cudaMemoryTypeDevice;
    attributes->devicePointer = address;
  } else {
    attributes->type = isPinned(pointer) ? cudaMemoryTypeHost : cudaMemoryTypeUnregistered;
    attributes->device = isPinned(pointer) ? 0 : -1;
    attributes->hostPointer = address;
    if (isPinned(pointer)) attributes->devicePointer = address;
  }
  return cudaSuccess;
}
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int) {
  *pool = nullptr;
  return cudaSuccess;
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return cudaSuccess; }
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, size_t) { return cudaSuccess; }
}
