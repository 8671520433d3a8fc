// The CPU allocator: keeps large freed blocks for reuse, counts bytes, and refuses what the machine cannot hold.
#pragma once
#include <cstdint>

namespace tfjs_torch {

struct MemoryStats {
  int64_t allocated;  // bytes of live blocks
  int64_t reserved;   // live and kept for reuse
  int64_t peak;       // largest `allocated` since the last reset
};

// Installs the allocator for the whole process; later calls do nothing.
void installHostAllocator();
MemoryStats hostMemory();
void resetHostPeak();
// Until at most `most` bytes are live and kept.
void emptyHostCache(int64_t most);

}  // namespace tfjs_torch
