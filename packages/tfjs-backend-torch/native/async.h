// Functions whose work is done on a thread of its own: JavaScript gets a promise.
#pragma once
#include <functional>

#include "binding.h"

namespace tfjs_torch {

// In the thread of the environment, after the work: the promise's value.
using Settle = std::function<napi_value(Call&)>;
struct Later {
  const char* name;
  std::function<Settle()> work;
};
napi_value toJs(Call& call, Later later);

}  // namespace tfjs_torch
