// A group of processes that train one model: means and broadcasts of tensors in place, texts, joining and leaving. The result of a
// mean has the same bytes on every rank, since each element is summed and divided on one rank, or in one order, and then handed on.
#include <atomic>
#include <map>
#include <memory>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>

#include "../async.h"
#include "../group/collectives.h"
#include "../group/peers.h"
#include "../stream.h"
#include "ops.h"
#include "prepared.h"

namespace tfjs_torch {
namespace {

struct Group {
  Group(Place place, c10::Device device) : place(std::move(place)), device(device) {}
  Place place;
  c10::Device device;
  Store store;
  c10::intrusive_ptr<Collectives> collectives;
  int64_t texts = 0;
  std::atomic<bool> failed{false};
};
using Groups = std::map<int64_t, std::shared_ptr<Group>>;

// Of this thread's environment. Those that are open when the process ends are not closed, which takes their peers.
Groups& groups() {
  thread_local auto* own = new Groups;
  return *own;
}
const std::shared_ptr<Group>& groupOf(int64_t number) {
  const auto found = groups().find(number);
  TORCH_CHECK(found != groups().end(), "this group of processes was closed");
  return found->second;
}

// Runs what needs the other ranks; its error says which rank this is.
template <class F>
auto withPeers(Group& group, const char* what, F exchange) {
  try {
    return exchange();
  } catch (const std::exception& error) {
    group.failed = true;
    const auto* torch = dynamic_cast<const c10::Error*>(&error);
    TORCH_CHECK(false, what, " on ", nameOf(group.place), " did not come to its end: another rank is gone, or made another call (",
                torch ? torch->what_without_backtrace() : error.what(), ")");
  }
}

void sum(Group& group, Tensor flat) {
  Tensors tensors{std::move(flat)};
  const auto work = group.collectives->allreduce(tensors);
  if (work) work->wait();
}
void fromFirst(Group& group, Tensor flat) {
  Tensors tensors{std::move(flat)};
  const auto work = group.collectives->broadcast(tensors);
  if (work) work->wait();
}

bool asItLies(const Tensor& x) { return x.scalar_type() == at::kFloat && x.is_contiguous(); }

constexpr int64_t mostTogether = (int64_t{64} << 20) / 4;  // elements: small tensors are exchanged as one of up to 64 MiB

// Gives `exchange` all values as flat float32 tensors, and writes back what it makes of them. What goes together depends on sizes alone.
template <class F>
void inFlatParts(const Tensors& tensors, F exchange) {
  for (size_t first = 0, next; first < tensors.size(); first = next) {
    int64_t elements = tensors[first].numel();
    for (next = first + 1; next < tensors.size() && elements + tensors[next].numel() <= mostTogether; next++) {
      elements += tensors[next].numel();
    }
    if (elements == 0) continue;
    if (next == first + 1 && asItLies(tensors[first])) {
      exchange(tensors[first].view(-1));
      continue;
    }
    Tensors values;
    for (size_t i = first; i < next; i++) values.push_back(tensors[i].to(at::kFloat).reshape(-1));
    const Tensor flat = at::cat(values);
    values.clear();
    exchange(flat);
    int64_t offset = 0;
    for (size_t i = first; i < next; i++) {
      Tensor to = tensors[i];
      to.copy_(flat.narrow(0, offset, to.numel()).view(to.sizes()));
      offset += to.numel();
    }
  }
}

void beforeWriting(const Tensors& variables) {
  TORCH_CHECK(!recordingGraph(), "an exchange between processes cannot be recorded as part of a graph");
  for (const Tensor& x : variables) {
    TORCH_CHECK(x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16, "an exchange of ", x.scalar_type(), x.sizes(),
                ": tensors are float32");
    forgetCopies(x);
  }
}

void meanOnGpu(Group& group, const Tensors& variables) {
  Tensors exchanged;
  for (const Tensor& x : variables) {
    if (x.numel()) exchanged.push_back(asItLies(x) ? x : x.to(at::kFloat).contiguous());
  }
  if (exchanged.empty()) return;
  meanByNccl(*group.collectives, exchanged);
  size_t i = 0;
  for (const Tensor& x : variables) {
    if (!x.numel()) continue;
    Tensor to = x;
    if (!asItLies(x)) to.copy_(exchanged[i]);
    i++;
  }
}

void groupMean(Call&, int64_t number, const Tensors& variables) {
  Group& group = *groupOf(number);
  beforeWriting(variables);
  withPeers(group, "allReduceMean", [&] {
    if (group.device.is_cuda()) return meanOnGpu(group, variables);
    inFlatParts(variables, [&](Tensor flat) {
      sum(group, flat);
      flat.div_(group.place.worldSize);
    });
  });
}
void groupBroadcast(Call&, int64_t number, const Tensors& variables) {
  Group& group = *groupOf(number);
  beforeWriting(variables);
  withPeers(group, "broadcast", [&] { inFlatParts(variables, [&](Tensor flat) { fromFirst(group, flat); }); });
}

// host: see openGloo.
Later groupOpen(Call& call, int64_t rank, int64_t worldSize, const std::string& address, int64_t port, const std::string& attempt,
                const std::string& host) {
  const Place place{static_cast<int>(rank), static_cast<int>(worldSize), address, static_cast<uint16_t>(port), attempt};
  const c10::Device device = call.state.device;
  return {"openGroup", [place, device, host, stream = currentStream(device)] {
    auto group = std::make_shared<Group>(place, device);
    const std::string about = c10::str(device.is_cuda() ? "NCCL" : "gloo", ", of ", place.worldSize);
    group->store = enter(place, about);
    const std::string refusal = withPeers(*group, "openGroup", [&] { return join(group->store, place, about); });
    TORCH_CHECK(refusal.empty(), refusal);
    withPeers(*group, "openGroup", [&] {
      const auto own = c10::make_intrusive<c10d::PrefixStore>("exchange", group->store);
      group->collectives = device.is_cuda() ? openNccl(own, place.rank, place.worldSize)
                                            : openGloo(own, place.rank, place.worldSize, host);
      // Connects all: what does not work shows here, and takes no memory later.
      const OnStream on(stream);
      sum(*group, at::zeros({1}, at::TensorOptions().device(device)));
    });
    return [group](Call& call) {
      static std::atomic<int64_t> next{1};
      const int64_t number = next++;
      groups()[number] = group;
      return toJs(call, static_cast<double>(number));
    };
  }};
}

Later groupGatherText(Call&, int64_t number, const std::string& text) {
  const auto group = groupOf(number);
  return {"allGatherText", [group, text, call = group->texts++] {
    auto texts = withPeers(*group, "allGatherText", [&] { return gather(group->store, group->place, call, text); });
    return [texts = std::move(texts)](Call& call) { return toJs(call, texts); };
  }};
}

// Waits for the others a minute, or a second where one is known to be gone.
Later groupClose(Call& call, int64_t number) {
  const auto group = groupOf(number);
  groups().erase(number);
  auto given = std::make_shared<Mark>();
  if (group->device.is_cuda()) given->set();
  return {"close", [group, given] {
    const std::chrono::milliseconds most = std::chrono::seconds(group->failed ? 1 : 60);
    try {
      if (group->device.is_cuda()) given->wait();
      sayDone(group->store, group->place, most);
    } catch (const std::exception&) {
      // Whoever is gone needs nothing of this rank.
    }
    if (group->device.is_cuda()) closeNccl(*group->collectives);
    group->collectives.reset();
    try {
      leave(group->store, group->place, most);
    } catch (const std::exception&) {
    }
    group->store.reset();
    return [](Call& call) {
      napi_value nothing;
      napi_get_undefined(call.env, &nothing);
      return nothing;
    };
  }};
}

// NCCL's threads must not find CUDA gone; gloo's are left to the system.
void groupsStop(Call&) {
  stopWaiting();
  for (auto& [number, group] : groups()) {
    if (!group->device.is_cuda()) continue;
    abortNccl(*group->collectives);
    group->collectives.reset();
  }
}

}  // namespace

void exportGroup(Exports& exports) {
  exports.insert(exports.end(), {
      bind<groupOpen>("groupOpen"),
      bind<groupMean>("groupMean"),
      bind<groupBroadcast>("groupBroadcast"),
      bind<groupGatherText>("groupGatherText"),
      bind<groupClose>("groupClose"),
      bind<groupsStop>("groupsStop"),
  });
}

}  // namespace tfjs_torch
