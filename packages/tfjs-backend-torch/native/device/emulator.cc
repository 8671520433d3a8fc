// Each thread of a block is a context of its own, which goes back to the scheduler at a barrier.
#include "emulator.h"

#include <ucontext.h>

#include <cstring>
#include <memory>
#include <vector>

namespace tfjs_torch {
namespace {

constexpr size_t stackBytes = 64 << 10;

struct Block {
  ucontext_t scheduler;
  std::vector<ucontext_t> contexts;
  std::vector<char> ended;
  std::vector<Thread> places;
  const std::function<void(const Thread&)>* kernel;
  size_t current = 0;
};
thread_local Block* running = nullptr;

void wait() { swapcontext(&running->contexts[running->current], &running->scheduler); }
void start() {
  Block& block = *running;
  (*block.kernel)(block.places[block.current]);
  block.ended[block.current] = 1;
  wait();
}

}  // namespace

void emulate(int64_t blocks, int threads, size_t sharedBytes, const std::function<void(const Thread&)>& kernel) {
  std::vector<double> shared(sharedBytes / sizeof(double) + 1);
  std::vector<float> exchange(threads);
  const std::unique_ptr<char[]> stacks(new char[threads * stackBytes]);
  for (int64_t index = 0; index < blocks; index++) {
    std::memset(shared.data(), 0xff, shared.size() * sizeof(double));
    Block block;
    block.contexts.resize(threads);
    block.ended.assign(threads, 0);
    block.kernel = &kernel;
    for (int t = 0; t < threads; t++) {
      block.places.push_back({reinterpret_cast<float*>(shared.data()), index, t, threads, exchange.data(), &wait});
      getcontext(&block.contexts[t]);
      block.contexts[t].uc_stack.ss_sp = stacks.get() + t * stackBytes;
      block.contexts[t].uc_stack.ss_size = stackBytes;
      block.contexts[t].uc_link = nullptr;
      makecontext(&block.contexts[t], start, 0);
    }
    running = &block;
    for (int left = threads; left > 0;) {
      for (int t = 0; t < threads; t++) {
        if (block.ended[t]) continue;
        block.current = t;
        swapcontext(&block.scheduler, &block.contexts[t]);
        left -= block.ended[t];
      }
    }
    running = nullptr;
  }
}

}  // namespace tfjs_torch
