// Starts a kernel of this folder: on a GPU as NVRTC compiled it, on the host in the emulator.
#pragma once
#include <optional>
#include <string>
#include <type_traits>

#include <c10/core/Device.h>

#include "emulator.h"

namespace tfjs_torch {

// `type` names the kernel for NVRTC: K itself, or an instance with K's members. Compiled at first use, then kept in the
// process and on disk.
void launchOnDevice(const std::string& type, void* kernel, LaunchShape shape);

// Loads NVRTC and its other half, which NVRTC finds by itself only where the system's loader does: libtorch compiles kernels of its
// own with it at their first use, those of Prod and ComplexAbs among them.
void openCompiler();

// Whether tensors on the CPU go through the emulator instead of the host's loops: for tests. The seed of the order of threads, where
// they do.
std::optional<uint64_t> emulating();
void setEmulating(std::optional<uint64_t> seed);

template <class K>
void launch(c10::Device device, const std::string& type, K kernel, LaunchShape shape) {
  static_assert(std::is_trivially_copyable_v<K> && sizeof(K) <= 4096, "a launch takes up to 4 KiB of arguments");
  if (shape.blocks == 0) return;
  if (device.is_cpu()) {
    emulate(type, shape, emulating().value_or(0), [&](const Thread& at) { kernel(at); });
  } else {
    checkShape(type, shape);
    launchOnDevice(type, &kernel, shape);
  }
}

}  // namespace tfjs_torch
