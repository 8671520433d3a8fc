// A table by storage. Its entries hold the storage weakly: an address is not used again while they do.
#include "prepared.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace tfjs_torch {
namespace {

struct Copy {
  std::vector<int64_t> sizes, strides;
  int64_t offset;
  at::ScalarType from, type;
  at::MemoryFormat format;
  int64_t uses = 0;
  bool held = false;  // a graph reads or writes it: it stays where it is
  bool rewritten = false;  // a graph writes its weight, and not it
  bool stale = false;  // of a weight that was written since; only where held
  at::Tensor tensor;  // undefined while it is not kept

  bool isOf(const at::Tensor& x, at::ScalarType wanted, at::MemoryFormat layout) const {
    return type == wanted && format == layout && offset == x.storage_offset() && x.sizes() == at::IntArrayRef(sizes) &&
           x.strides() == at::IntArrayRef(strides);
  }
};
struct Entry {
  c10::weak_intrusive_ptr<c10::StorageImpl> storage;
  std::vector<Copy> copies;
};
using Table = std::unordered_map<const c10::StorageImpl*, Entry>;

struct Tables {
  Table outside, inGraph;
  bool recording = false;
  GraphCopies graph;  // while recording
  int64_t made = 0;
  size_t purgeAt = 4096;
};
Tables& tables() {
  thread_local Tables own;
  return own;
}

Copy& copyOf(Table& table, const at::Tensor& x, at::ScalarType type, at::MemoryFormat format) {
  const c10::StorageImpl* impl = x.storage().unsafeGetStorageImpl();
  auto found = table.find(impl);
  if (found == table.end()) found = table.emplace(impl, Entry{x.storage().getWeakStorageImpl(), {}}).first;
  for (Copy& copy : found->second.copies) {
    if (copy.isOf(x, type, format)) return copy;
  }
  found->second.copies.push_back({x.sizes().vec(), x.strides().vec(), x.storage_offset(), x.scalar_type(), type, format});
  return found->second.copies.back();
}
// Inputs that came and went.
void purge(Table& table) {
  Tables& all = tables();
  if (table.size() < all.purgeAt) return;
  for (auto entry = table.begin(); entry != table.end();) entry = entry->second.storage.expired() ? table.erase(entry) : std::next(entry);
  all.purgeAt = std::max<size_t>(4096, 2 * table.size());
}

void renew(Copy& copy, const at::Tensor& x) {
  copy.tensor.copy_(x);
  copy.stale = false;
  tables().made++;
}
void renewIfStale(Copy& copy, const Entry& entry) {
  if (!copy.stale) return;
  const auto storage = entry.storage.lock();
  if (!storage) return;
  const auto options = copy.tensor.options().dtype(copy.from);
  renew(copy, at::empty({0}, options).set_(c10::Storage(storage), copy.offset, copy.sizes, copy.strides));
}
// Where it is one still.
Copy* outsideCopy(const c10::StorageImpl* storage, const at::Tensor& tensor) {
  const auto found = tables().outside.find(storage);
  if (found == tables().outside.end()) return nullptr;
  for (Copy& copy : found->second.copies) {
    if (copy.tensor.is_same(tensor)) return &copy;
  }
  return nullptr;
}
void forget(const c10::StorageImpl* storage, const at::Tensor& but) {
  Tables& all = tables();
  for (Table* table : {&all.outside, &all.inGraph}) {
    const auto found = table->find(storage);
    if (found == table->end()) continue;
    for (Copy& copy : found->second.copies) {
      if (but.defined() && copy.tensor.is_same(but)) continue;
      if (copy.held) copy.stale = true;
      else copy.tensor = at::Tensor();
    }
  }
}

// Elements in x's own order: one copy serves every shape.
at::Tensor flat(const at::Tensor& x) { return x.view({x.numel()}); }

at::Tensor copyOrNew(const at::Tensor& x, at::ScalarType type, at::MemoryFormat format) {
  Tables& all = tables();
  purge(all.outside);
  Copy& outside = copyOf(all.outside, x, type, format);
  // A graph makes its own of what it would find stale at each replay.
  const bool toBeMade = outside.stale || (outside.rewritten && !outside.held);
  if (outside.tensor.defined() && !(all.recording && toBeMade)) {
    if (outside.stale) renew(outside, x);
    if (all.recording) {
      outside.held = true;
      all.graph.read.push_back({x.storage().unsafeGetStorageImpl(), outside.tensor});
    }
    return outside.tensor;
  }
  Copy& copy = all.recording ? copyOf(all.inGraph, x, type, format) : outside;
  if (copy.tensor.defined()) return copy.tensor;
  all.made++;
  const at::Tensor made = x.to(type, /*non_blocking=*/false, /*copy=*/true, format);
  if (++outside.uses > 1) copy.tensor = made;
  return made;
}

void forgetCopiesBut(const at::Tensor& copy, const at::Tensor& x) {
  const c10::StorageImpl* storage = x.storage().unsafeGetStorageImpl();
  GraphCopies& graph = tables().graph;
  if (tables().recording) {
    graph.written.push_back({storage, copy});
    const auto isOf = [&](const CopyOf& one) { return one.storage == storage; };
    graph.renewed.erase(std::remove_if(graph.renewed.begin(), graph.renewed.end(), isOf), graph.renewed.end());
  }
  forget(storage, copy);
}

}  // namespace

at::Tensor prepared(const at::Tensor& x, at::ScalarType type, at::MemoryFormat format) {
  if (x.scalar_type() == type && x.is_contiguous(format)) return x;
  if (x.is_contiguous() && format == at::MemoryFormat::Contiguous) return copyOrNew(flat(x), type, format).view(x.sizes());
  return copyOrNew(x, type, format);
}

at::Tensor convertedOnce(const at::Tensor& x, at::ScalarType type) {
  Tables& all = tables();
  if (x.scalar_type() == type || !all.recording) return x.to(type);
  Copy& copy = copyOf(all.inGraph, flat(x), type, at::MemoryFormat::Contiguous);
  if (!copy.tensor.defined()) {
    copy.tensor = flat(x).to(type);
    all.made++;
  }
  return copy.tensor.view(x.sizes());
}

void forgetCopies(const at::Tensor& x) { forgetCopiesBut({}, x); }

at::Tensor copyToWriteWith(const at::Tensor& x) {
  at::Tensor kept;
  const auto found = tables().outside.find(x.storage().unsafeGetStorageImpl());
  if (found != tables().outside.end()) {
    for (Copy& copy : found->second.copies) {
      // Where x is not written after all, as where gradients are not finite, neither is the copy: a stale one would stay so.
      if (!copy.tensor.defined() || copy.stale || !copy.isOf(flat(x), at::kBFloat16, at::MemoryFormat::Contiguous)) continue;
      copy.held = true;
      kept = copy.tensor;
    }
  }
  forgetCopiesBut(kept, x);
  return kept;
}

void renewCopiesOf(const at::Tensor& x) {
  Tables& all = tables();
  const c10::StorageImpl* storage = x.storage().unsafeGetStorageImpl();
  const auto found = all.outside.find(storage);
  if (!all.recording || found == all.outside.end()) return;
  for (Copy& copy : found->second.copies) {
    if (!copy.stale) continue;
    renewIfStale(copy, found->second);
    all.graph.renewed.push_back({storage, copy.tensor});
  }
}

void releaseCopies(const at::Tensor& x) {
  Tables& all = tables();
  if (all.outside.empty() || !x.has_storage() || x.storage().use_count() > 1) return;
  all.outside.erase(x.storage().unsafeGetStorageImpl());
  all.inGraph.erase(x.storage().unsafeGetStorageImpl());
}

void beginGraphCopies() { tables().recording = true; }
GraphCopies endGraphCopies() {
  tables().recording = false;
  tables().inGraph.clear();
  GraphCopies graph = std::exchange(tables().graph, {});
  const auto address = [](const CopyOf& one) { return one.copy.unsafeGetTensorImpl(); };
  std::sort(graph.read.begin(), graph.read.end(), [&](const CopyOf& a, const CopyOf& b) { return address(a) < address(b); });
  const auto same = [&](const CopyOf& a, const CopyOf& b) { return address(a) == address(b); };
  graph.read.erase(std::unique(graph.read.begin(), graph.read.end(), same), graph.read.end());
  return graph;
}
bool recordingGraph() { return tables().recording; }
void renewCopies() {
  for (auto& [storage, entry] : tables().outside) {
    for (Copy& copy : entry.copies) renewIfStale(copy, entry);
  }
}
void renewCopiesReadBy(const GraphCopies& copies) {
  for (const auto& [storage, read] : copies.read) {
    if (Copy* copy = outsideCopy(storage, read)) renewIfStale(*copy, tables().outside.at(storage));
  }
}
void forgetCopiesWrittenBy(const GraphCopies& copies) {
  Table& outside = tables().outside;
  for (const auto& [storage, copy] : copies.written) {
    forget(storage, copy);
    const auto found = outside.find(storage);
    if (found == outside.end()) continue;
    for (Copy& other : found->second.copies) other.rewritten = other.rewritten || !other.held;
  }
  for (const auto& [storage, renewed] : copies.renewed) {
    if (Copy* copy = outsideCopy(storage, renewed)) copy->stale = false;
  }
}
int64_t copiesMade() { return tables().made; }

}  // namespace tfjs_torch
