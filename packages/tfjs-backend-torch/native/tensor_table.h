// Handles that JavaScript holds: a small integer names one at::Tensor of one environment (the main thread or a worker).
#pragma once
#include <cstdint>
#include <vector>

#include <ATen/ATen.h>

namespace tfjs_torch {

class TensorTable {
 public:
  // Every stored tensor is contiguous, so that it can be viewed under any shape of the same size; but for filters that are frozen
  // (conv.cc), which nothing views.
  uint32_t add(at::Tensor tensor);
  const at::Tensor& get(uint32_t handle) const;
  void release(uint32_t handle);
  void replace(uint32_t handle, at::Tensor tensor);
  uint32_t live() const { return live_; }
  // In no order; those released are undefined.
  const std::vector<at::Tensor>& slots() const { return slots_; }

 private:
  std::vector<at::Tensor> slots_;
  std::vector<uint32_t> free_;
  uint32_t live_ = 0;
};

}  // namespace tfjs_torch
