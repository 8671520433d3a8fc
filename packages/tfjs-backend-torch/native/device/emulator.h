// Runs a kernel of this folder on the host, one thread of a block after another up to each barrier: for tests.
#pragma once
#include <cstddef>
#include <functional>

#include "thread.h"

namespace tfjs_torch {

// Shared memory starts as NaNs.
void emulate(int64_t blocks, int threads, size_t sharedBytes, const std::function<void(const Thread&)>& kernel);

}  // namespace tfjs_torch
