#include "shared_memory.h"

#include <stdexcept>
#include <string>

namespace tfjs_torch {
namespace {

std::string access(int64_t word, int thread, const char* does) {
  return "thread " + std::to_string(thread) + " " + does + " word " + std::to_string(word) + " of shared memory";
}

}  // namespace

void SharedMemory::endInterval() {
  for (const Early& early : early_) throw std::runtime_error(access(early.word, early.thread, "reads") + ", which no thread of the block has written");
  interval_++;
}
void SharedMemory::outside(int64_t word, int thread, const char* does) const {
  throw std::runtime_error(access(word, thread, does) + "; the launch asked for " + std::to_string(bytes_) + " bytes, " +
                           std::to_string(words_.size()) + " words");
}
void SharedMemory::race(int64_t word, int thread, const char* does, int other, const char* did) const {
  throw std::runtime_error(access(word, thread, does) + ", which thread " + std::to_string(other) + " " + did +
                           " with no barrier between them");
}

}  // namespace tfjs_torch
