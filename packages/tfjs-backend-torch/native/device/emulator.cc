// Each thread of a block is a context of its own, which goes back to the scheduler where it has to wait for others.
#include "emulator.h"

#include <ucontext.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <numeric>
#include <random>
#include <stdexcept>
#include <vector>

namespace tfjs_torch {
namespace {

constexpr size_t stackBytes = 64 << 10;
constexpr int warp = 32;

enum class State { ready, atBarrier, atSum, ended };
struct Context {
  ucontext_t context;
  Thread place;
  State state;
  const char* file;  // where it waits
  int line;
  float value;  // of a sum
  int lanes;
};
struct Block {
  ucontext_t scheduler;
  std::vector<Context> contexts;
  const std::function<void(const Thread&)>* kernel;
  Context* current = nullptr;
  std::exception_ptr error;
};
thread_local Block* running = nullptr;

void stop(State state) {
  running->current->state = state;
  swapcontext(&running->current->context, &running->scheduler);
}
void stopAt(State state, const char* file, int line) {
  running->current->file = file;
  running->current->line = line;
  stop(state);
}
void start() {
  try {
    (*running->kernel)(running->current->place);
  } catch (...) {
    running->error = std::current_exception();
  }
  stop(State::ended);
}

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what); }
std::string nameOf(const Context& context) { return "thread " + std::to_string(context.place.thread()); }
std::string stateOf(const Context& context) {
  if (context.state == State::ended) return "has ended";
  const char* slash = std::strrchr(context.file, '/');
  return std::string("waits at the ") + (context.state == State::atBarrier ? "barrier" : "sum of " + std::to_string(context.lanes) + " lanes") +
         " in " + (slash ? slash + 1 : context.file) + ":" + std::to_string(context.line);
}
bool together(const Context& a, const Context& b) {
  if (a.state != b.state) return false;
  return a.state == State::ended || (a.line == b.line && std::strcmp(a.file, b.file) == 0 && (a.state != State::atSum || a.lanes == b.lanes));
}

// The first of the threads that does not wait where the first of them does.
Context* strayOf(Context* first, Context* end) {
  return std::find_if(first, end, [&](const Context& other) { return !together(*first, other); });
}
// What shuffles make of the warp's values; true where all its threads are there.
bool finishSum(Context* first, Context* end) {
  if (first->state != State::atSum || strayOf(first, end) != end) return false;
  float values[warp];
  for (int step = first->lanes / 2; step > 0; step /= 2) {
    for (int lane = 0; lane < warp; lane++) values[lane] = first[lane].value;
    for (int lane = 0; lane < warp; lane++) first[lane].value = values[lane] + values[lane ^ step];
  }
  return true;
}
[[noreturn]] void reportStray(Context* first, Context* end) {
  for (Context* warpFirst = first; warpFirst < end; warpFirst += warp) {
    Context* const warpEnd = std::min(warpFirst + warp, end);
    const bool sums = std::any_of(warpFirst, warpEnd, [](const Context& context) { return context.state == State::atSum; });
    Context* const other = strayOf(sums ? warpFirst : first, warpEnd);
    if (other == warpEnd) continue;
    const Context& one = sums ? *warpFirst : *first;
    fail(nameOf(one) + " " + stateOf(one) + ", " + nameOf(*other) + " " + stateOf(*other) + ": " +
         (sums ? "all threads of a warp take part in each sum" : "all threads of a block reach each barrier"));
  }
  fail("threads wait for others for ever");
}

// Runs the threads until all have ended.
void runBlock(Block& block, SharedMemory& memory, std::mt19937_64& random) {
  const auto first = block.contexts.data(), end = first + block.contexts.size();
  std::vector<Context*> ready;
  for (Context* context = first; context < end; context++) ready.push_back(context);
  for (;;) {
    std::shuffle(ready.begin(), ready.end(), random);
    for (Context* context : ready) {
      block.current = context;
      swapcontext(&block.scheduler, &context->context);
      if (block.error) std::rethrow_exception(block.error);
    }
    ready.clear();
    for (Context* warpFirst = first; warpFirst < end; warpFirst += warp) {
      Context* const warpEnd = std::min(warpFirst + warp, end);
      if (!finishSum(warpFirst, warpEnd)) continue;
      for (Context* context = warpFirst; context < warpEnd; context++) ready.push_back(context);
    }
    if (!ready.empty()) continue;
    if (strayOf(first, end) != end) reportStray(first, end);
    memory.endInterval();
    if (first->state == State::ended) return;
    for (Context* context = first; context < end; context++) ready.push_back(context);
  }
}

}  // namespace

void waitAtBarrier(const char* file, int line) { stopAt(State::atBarrier, file, line); }
float sumOfLanes(float x, int lanes, const char* file, int line) {
  Context& context = *running->current;
  if (lanes < 1 || lanes > warp || (lanes & (lanes - 1)) != 0) fail("a sum of " + std::to_string(lanes) + " lanes: expected a power of two up to 32");
  if (lanes == 1) return x;
  const int inWarp = context.place.threads() - context.place.thread() / warp * warp;
  if (inWarp < warp) fail(nameOf(context) + " is in a warp of " + std::to_string(inWarp) + " threads: all 32 lanes take part in a sum");
  context.value = x;
  context.lanes = lanes;
  stopAt(State::atSum, file, line);
  return context.value;
}
void misaligned(const void* address, size_t bytes) {
  fail(nameOf(*running->current) + " takes " + std::to_string(bytes) + " bytes at once at an address " +
       std::to_string(reinterpret_cast<uintptr_t>(address) % bytes) + " bytes beyond a multiple");
}

void checkShape(const std::string& name, const LaunchShape& shape) {
  const auto check = [&](int64_t value, int64_t least, int64_t most, const char* what) {
    if (value < least || value > most)
      fail("the launch of " + name + " has " + std::to_string(value) + " " + what + ": a GPU takes " + std::to_string(least) + " to " + std::to_string(most));
  };
  check(shape.blocks, 1, INT32_MAX, "blocks");
  check(shape.threads, 1, 1024, "threads a block");
  check(static_cast<int64_t>(shape.sharedBytes), 0, 48 << 10, "bytes of shared memory a block");  // more has to be asked for
}

void emulate(const std::string& name, const LaunchShape& shape, uint64_t seed, const std::function<void(const Thread&)>& kernel) {
  checkShape(name, shape);
  std::mt19937_64 random(seed);
  SharedMemory memory(shape.sharedBytes);
  // Kept: fresh pages cost more than most kernels here.
  thread_local std::vector<std::unique_ptr<char[]>> stacks;
  while (stacks.size() < static_cast<size_t>(shape.threads)) stacks.emplace_back(new char[stackBytes]);
  std::vector<int64_t> order(shape.blocks);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random);
  Block block;
  block.kernel = &kernel;
  block.contexts.resize(shape.threads);
  for (const int64_t index : order) {
    for (int t = 0; t < shape.threads; t++) {
      Context& context = block.contexts[t];
      context.place = {{&memory, 0, t}, index, t, shape.threads};
      getcontext(&context.context);
      context.context.uc_stack.ss_sp = stacks[t].get();
      context.context.uc_stack.ss_size = stackBytes;
      context.context.uc_link = nullptr;
      makecontext(&context.context, start, 0);
    }
    memory.clear();
    running = &block;
    try {
      runBlock(block, memory, random);
    } catch (const std::exception& error) {
      running = nullptr;
      fail(name + ", block " + std::to_string(index) + ": " + error.what());
    }
    running = nullptr;
  }
}

}  // namespace tfjs_torch
