// A table by storage. Its entries hold the storage weakly: an address is not used again while they do.
#include "prepared.h"

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
  Written written;  // while recording
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
  if (outside.tensor.defined() && !(all.recording && outside.stale)) {
    if (outside.stale) renew(outside, x);
    outside.held = outside.held || all.recording;
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
  if (tables().recording) tables().written.push_back({storage, copy});
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

void releaseCopies(const at::Tensor& x) {
  Tables& all = tables();
  if (all.outside.empty() || !x.has_storage() || x.storage().use_count() > 1) return;
  all.outside.erase(x.storage().unsafeGetStorageImpl());
  all.inGraph.erase(x.storage().unsafeGetStorageImpl());
}

void beginGraphCopies() { tables().recording = true; }
Written endGraphCopies() {
  tables().recording = false;
  tables().inGraph.clear();
  return std::exchange(tables().written, {});
}
bool recordingGraph() { return tables().recording; }
void renewGraphCopies() {
  for (auto& [impl, entry] : tables().outside) {
    for (Copy& copy : entry.copies) {
      if (!copy.stale) continue;
      const auto storage = entry.storage.lock();
      if (!storage) continue;
      const auto options = copy.tensor.options().dtype(copy.from);
      renew(copy, at::empty({0}, options).set_(c10::Storage(storage), copy.offset, copy.sizes, copy.strides));
    }
  }
}
void forgetCopiesOf(const Written& written) {
  for (const auto& [storage, copy] : written) forget(storage, copy);
}
int64_t copiesMade() { return tables().made; }

}  // namespace tfjs_torch
