// gloo, where this libtorch has it.
#include "collectives.h"

#include <cstdlib>

#ifdef TFJS_TORCH_GLOO
#define USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#endif

namespace tfjs_torch {

#ifdef TFJS_TORCH_GLOO

c10::intrusive_ptr<Collectives> openGloo(const Store& store, int rank, int worldSize, const std::string& host) {
  using Gloo = c10d::ProcessGroupGloo;
  const auto options = Gloo::Options::create(exchangeTimeout);
  const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
  options->devices.push_back(host.empty() && interface ? Gloo::createDeviceForInterface(interface)
                                                       : Gloo::createDeviceForHostname(host));
  options->threads = 1;  // one collective after another
  return c10::make_intrusive<Gloo>(store, rank, worldSize, options);
}

#else

c10::intrusive_ptr<Collectives> openGloo(const Store&, int, int, const std::string&) {
  TORCH_CHECK(false, "this build has no groups of processes: its libtorch was built without gloo");
}

#endif

}  // namespace tfjs_torch
