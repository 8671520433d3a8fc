// The handle table. A handle that was released, or never given out, is an error and not a crash.
#include "tensor_table.h"

namespace tfjs_torch {

uint32_t TensorTable::add(at::Tensor tensor) {
  live_++;
  if (free_.empty()) {
    slots_.push_back(std::move(tensor));
    return static_cast<uint32_t>(slots_.size() - 1);
  }
  const uint32_t handle = free_.back();
  free_.pop_back();
  slots_[handle] = std::move(tensor);
  return handle;
}

const at::Tensor& TensorTable::get(uint32_t handle) const {
  TORCH_CHECK(handle < slots_.size() && slots_[handle].defined(), "the tensor was disposed (handle ", handle, ")");
  return slots_[handle];
}

void TensorTable::release(uint32_t handle) {
  TORCH_CHECK(handle < slots_.size() && slots_[handle].defined(), "the tensor was disposed twice (handle ", handle, ")");
  slots_[handle] = at::Tensor();
  free_.push_back(handle);
  live_--;
}

void TensorTable::replace(uint32_t handle, at::Tensor tensor) {
  get(handle);
  slots_[handle] = std::move(tensor);
}

}  // namespace tfjs_torch
