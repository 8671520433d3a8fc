// Joining, gathering and leaving, over libtorch's TCPStore.
#include "peers.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

namespace tfjs_torch {
namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;
using Bytes = std::vector<uint8_t>;

std::atomic<bool> stopped{false};

// Whether all keys are there before `most` is over.
bool await(const Store& store, const std::vector<std::string>& keys, Milliseconds most) {
  const auto end = Clock::now() + most;
  for (Milliseconds pause(1);; pause = std::min(2 * pause, Milliseconds(50))) {
    TORCH_CHECK(!stopped, "the process ends");
    if (store->check(keys)) return true;
    if (Clock::now() >= end) return false;
    std::this_thread::sleep_for(pause);
  }
}

std::vector<std::string> ofAllRanks(const Place& place, const std::string& prefix) {
  std::vector<std::string> keys;
  for (int rank = 0; rank < place.worldSize; rank++) keys.push_back(prefix + std::to_string(rank));
  return keys;
}
std::string missing(const Store& store, const Place& place, const std::string& prefix) {
  std::string ranks;
  for (int rank = 0; rank < place.worldSize; rank++) {
    if (!store->check({prefix + std::to_string(rank)})) ranks += (ranks.empty() ? "" : ", ") + std::to_string(rank);
  }
  return ranks;
}

Bytes bytesOf(const std::string& text) { return Bytes(text.begin(), text.end()); }
std::string textAt(const Store& store, const std::string& key) {
  const Bytes bytes = store->get(key);
  return std::string(bytes.begin(), bytes.end());
}

// A store takes values of up to 8 MiB.
constexpr size_t partBytes = size_t{4} << 20;
size_t partsOf(size_t bytes) { return (bytes + partBytes - 1) / partBytes; }
std::string textKey(int64_t call, int rank) { return "text/" + std::to_string(call) + "/" + std::to_string(rank); }
std::string partKey(const std::string& key, size_t part) { return key + "/" + std::to_string(part); }

}  // namespace

std::string nameOf(const Place& place) { return c10::str("rank ", place.rank, " of ", place.worldSize); }

Store enter(const Place& place, const std::string& about) {
  const std::string own = std::to_string(place.rank);
  c10d::TCPStoreOptions options;
  options.port = place.port;
  options.isServer = place.rank == 0 && place.attempt.empty();
  options.waitWorkers = false;
  options.timeout = joinTimeout;
  Store store;
  int64_t times = 0;
  for (const auto end = Clock::now() + joinTimeout; !times;) {
    try {
      store = c10::make_intrusive<c10d::TCPStore>(place.address, options);
      if (!place.attempt.empty()) store = c10::make_intrusive<c10d::PrefixStore>(place.attempt, store);
      store->set("about/" + own, bytesOf(about));
      times = store->add("joined/" + own, 1);
    } catch (const std::exception& error) {
      // The store of a group that has just been closed may still listen, and break off.
      const bool again = place.rank != 0 && !stopped && Clock::now() < end;
      TORCH_CHECK(again, nameOf(place), options.isServer ? " cannot listen at " : " cannot connect to ", place.address, ":", place.port, ": ",
                  error.what());
      std::this_thread::sleep_for(Milliseconds(100));
    }
  }
  TORCH_CHECK(times == 1, "there is a ", nameOf(place), " at ", place.address, ":", place.port,
              " already: two processes have the same rank, or two groups the same port");
  return store;
}

std::string join(const Store& store, const Place& place, const std::string& about) {
  if (!await(store, ofAllRanks(place, "joined/"), joinTimeout)) {
    return c10::str(nameOf(place), " waited ", joinTimeout.count(), " minutes at ", place.address, ":", place.port, " for rank ",
                    missing(store, place, "joined/"), ": start a process for each rank");
  }
  for (int rank = 0; rank < place.worldSize; rank++) {
    const std::string other = textAt(store, "about/" + std::to_string(rank));
    if (other != about) return c10::str("rank ", rank, " is in a group by ", other, " processes, ", nameOf(place), " in one by ", about);
  }
  return "";
}

std::vector<std::string> gather(const Store& store, const Place& place, int64_t call, const std::string& text) {
  const std::string own = textKey(call, place.rank);
  for (size_t part = 0; part < partsOf(text.size()); part++) {
    store->set(partKey(own, part), bytesOf(text.substr(part * partBytes, partBytes)));
  }
  store->set(own, bytesOf(std::to_string(text.size())));  // last: the others wait for it
  const std::string prefix = "text/" + std::to_string(call) + "/";
  if (!await(store, ofAllRanks(place, prefix), exchangeTimeout)) {
    TORCH_CHECK(false, "rank ", missing(store, place, prefix), " made no such call within ",
                std::chrono::duration_cast<std::chrono::minutes>(exchangeTimeout).count(), " minutes");
  }
  std::vector<std::string> texts;
  for (int rank = 0; rank < place.worldSize; rank++) {
    const std::string key = textKey(call, rank);
    const size_t bytes = std::stoull(textAt(store, key));
    std::string whole;
    for (size_t part = 0; part < partsOf(bytes); part++) whole += textAt(store, partKey(key, part));
    texts.push_back(std::move(whole));
  }
  // Whoever made this call has read all of the one before.
  const std::string before = textKey(call - 1, place.rank);
  if (call > 0) {
    const size_t parts = partsOf(std::stoull(textAt(store, before)));
    for (size_t part = 0; part < parts; part++) store->deleteKey(partKey(before, part));
    store->deleteKey(before);
  }
  return texts;
}

void sayDone(const Store& store, const Place& place, Milliseconds most) {
  store->set("done/" + std::to_string(place.rank), Bytes{});
  await(store, ofAllRanks(place, "done/"), most);
}

void leave(const Store& store, const Place& place, Milliseconds most) {
  store->set("left/" + std::to_string(place.rank), Bytes{});
  if (place.rank == 0) await(store, ofAllRanks(place, "left/"), most);
}

void stopWaiting() { stopped = true; }

}  // namespace tfjs_torch
