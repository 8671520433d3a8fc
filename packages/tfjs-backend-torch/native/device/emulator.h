// Runs a kernel of this folder on the host, for tests: the threads of a block one after another up to each barrier. It stands for
// any order that a GPU may take, and looks for what is wrong in some of them only.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "thread.h"

namespace tfjs_torch {

struct LaunchShape {
  int64_t blocks;
  int threads;
  size_t sharedBytes = 0;
};
// Throws std::runtime_error where no GPU takes a launch like this.
void checkShape(const std::string& name, const LaunchShape& shape);

// Blocks, and threads anew after each barrier, go in an order drawn from the seed. Throws std::runtime_error, with the kernel's
// name, the block and the threads, for a barrier or sum that not all threads of the block or warp reach, and for what
// SharedMemory and load and store refuse.
void emulate(const std::string& name, const LaunchShape& shape, uint64_t seed, const std::function<void(const Thread&)>& kernel);

}  // namespace tfjs_torch
