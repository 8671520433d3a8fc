// What ranks tell one another by keys of a store, which rank 0 holds. Waits are polls: a store's own waits hold its connection, and
// cannot be broken off.
#pragma once
#include <chrono>
#include <string>
#include <vector>

#include "collectives.h"

namespace tfjs_torch {

constexpr auto joinTimeout = std::chrono::minutes(5);

struct Place {
  int rank;
  int worldSize;
  std::string address;
  uint16_t port;
  std::string attempt;  // where another process serves the store: what this group's keys begin with; else ""
};
// "rank 1 of 2"
std::string nameOf(const Place& place);

// Rank 0 listens; the others connect to it. `about`: what must be the same for all.
Store enter(const Place& place, const std::string& about);
// Returns when all ranks have come, or why this one cannot be of the group.
std::string join(const Store& store, const Place& place, const std::string& about);
// What each rank gives, in their order. `call`: 0, 1, ... ; keys of earlier calls are deleted.
std::vector<std::string> gather(const Store& store, const Place& place, int64_t call, const std::string& text);
// Says that this rank needs the others no more, and waits for theirs to say so.
void sayDone(const Store& store, const Place& place, std::chrono::milliseconds most);
// After that: rank 0's store outlives the others' use of it.
void leave(const Store& store, const Place& place, std::chrono::milliseconds most);

// The process ends: waits in other threads are over.
void stopWaiting();

}  // namespace tfjs_torch
