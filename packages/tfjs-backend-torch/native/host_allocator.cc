// glibc returns large blocks to the kernel, and the next tensor pays for zeroing the same pages again: a training step
// allocates the same sizes over and over, so blocks from 64 KiB are kept in lists by size.
#include "host_allocator.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include <c10/core/CPUAllocator.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace tfjs_torch {
namespace {

constexpr size_t headerBytes = 64, cachedFrom = 64 << 10, checkedFrom = 256 << 20;

std::mutex mutex;
std::map<size_t, std::vector<void*>> cache;  // by size
std::atomic<int64_t> allocated{0}, kept{0}, peak{0};

// Eight sizes per power of two, so that at most an eighth of a block is unused.
size_t blockSize(size_t bytes) {
  if (bytes < cachedFrom) return bytes;
  size_t step = cachedFrom / 8;
  while (step * 16 < bytes) step *= 2;
  return (bytes + step - 1) / step * step;
}

int64_t readNumber(const char* path, const char* format) {
  std::FILE* file = std::fopen(path, "r");
  if (!file) return -1;
  char line[256];
  long long value = -1;
  while (std::fgets(line, sizeof line, file) && std::sscanf(line, format, &value) != 1) value = -1;
  std::fclose(file);
  return value;
}
// What the kernel and the control group still let this process have; a large number where neither says.
int64_t availableBytes() {
  int64_t available = INT64_MAX;
  const int64_t kilobytes = readNumber("/proc/meminfo", "MemAvailable: %lld kB");
  if (kilobytes >= 0) available = kilobytes * 1024;
  const int64_t limit = readNumber("/sys/fs/cgroup/memory.max", "%lld"), used = readNumber("/sys/fs/cgroup/memory.current", "%lld");
  if (limit >= 0 && used >= 0) available = std::min(available, std::max<int64_t>(0, limit - used));
  return available;
}

// Until at most `most` bytes are live and kept, the largest blocks first: work that goes over a bound in every round pays for
// the pages of the same few blocks, not for all of them.
void freeCache(int64_t most = 0) {
  std::lock_guard<std::mutex> lock(mutex);
  for (auto found = cache.rbegin(); found != cache.rend(); ++found) {
    auto& [size, blocks] = *found;
    while (!blocks.empty() && allocated + kept > most) {
      std::free(blocks.back());
      blocks.pop_back();
      kept -= static_cast<int64_t>(size);
    }
  }
}

void* takeCached(size_t size) {
  std::lock_guard<std::mutex> lock(mutex);
  const auto found = cache.find(size);
  if (found == cache.end() || found->second.empty()) return nullptr;
  void* block = found->second.back();
  found->second.pop_back();
  kept -= static_cast<int64_t>(size);
  return block;
}

void* allocateBlock(size_t bytes) {
  if (bytes == 0) return nullptr;
  const size_t size = blockSize(bytes);
  void* block = size >= cachedFrom ? takeCached(size) : nullptr;
  if (!block) {
    if (size >= checkedFrom && static_cast<int64_t>(size) > availableBytes()) freeCache();
    const bool fits = size < checkedFrom || static_cast<int64_t>(size) <= availableBytes();
    if (!fits || posix_memalign(&block, headerBytes, size + headerBytes) != 0) {
      freeCache();
      TORCH_CHECK(fits && posix_memalign(&block, headerBytes, size + headerBytes) == 0, "out of memory: asked for ", bytes,
                  " bytes, ", availableBytes(), " bytes are free, ", allocated.load(), " are held by tensors");
    }
    *static_cast<size_t*>(block) = size;
  }
  const int64_t now = allocated += static_cast<int64_t>(size);
  int64_t highest = peak.load();
  while (now > highest && !peak.compare_exchange_weak(highest, now)) {
  }
  return static_cast<char*>(block) + headerBytes;
}

void freeBlock(void* data) {
  if (!data) return;
  void* block = static_cast<char*>(data) - headerBytes;
  const size_t size = *static_cast<size_t*>(block);
  allocated -= static_cast<int64_t>(size);
  if (size < cachedFrom) {
    std::free(block);
    return;
  }
  std::lock_guard<std::mutex> lock(mutex);
  cache[size].push_back(block);
  kept += static_cast<int64_t>(size);
}

// libtorch 1.13 declares allocate() const, newer ones not, and these also ask for copy_data: whichever exists is overridden.
class HostAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) const { return make(bytes); }
  c10::DataPtr allocate(size_t bytes) { return make(bytes); }
  c10::DeleterFnPtr raw_deleter() const { return &freeBlock; }
  void copy_data(void* to, const void* from, std::size_t count) const { std::memcpy(to, from, count); }

 private:
  static c10::DataPtr make(size_t bytes) {
    void* data = allocateBlock(bytes);
    return {data, data, &freeBlock, c10::Device(c10::kCPU)};
  }
};

HostAllocator allocator;

}  // namespace

void installHostAllocator() {
  static std::once_flag once;
  std::call_once(once, [] { c10::SetCPUAllocator(&allocator, /*priority=*/100); });
}
MemoryStats hostMemory() { return {allocated, allocated + kept, peak}; }
void resetHostPeak() { peak = allocated.load(); }
void emptyHostCache(int64_t most) {
  freeCache(most);
#ifdef __GLIBC__
  malloc_trim(0);  // what is freed below its threshold for mmap glibc keeps otherwise
#endif
}

}  // namespace tfjs_torch
