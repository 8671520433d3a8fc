// Stands in for a header of gloo, which libtorch has in it without its headers: what ProcessGroupGloo.hpp names. libtorch makes,
// uses and frees the objects; here they are behind pointers.
#pragma once
#include <chrono>
#include <memory>

#include "transport/device.h"

namespace gloo {
class Context {
 public:
  void setTimeout(std::chrono::milliseconds timeout);
};
}  // namespace gloo
