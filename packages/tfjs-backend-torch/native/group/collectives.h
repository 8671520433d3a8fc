// How ranks exchange tensors: gloo over sockets on the CPU, NCCL between GPUs, both as libtorch has them.
#pragma once
#include <chrono>
#include <string>

#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <torch/version.h>
#if TORCH_VERSION_MAJOR >= 2
#include <torch/csrc/distributed/c10d/Backend.hpp>
#endif

namespace tfjs_torch {

#if TORCH_VERSION_MAJOR >= 2
using Collectives = c10d::Backend;
#else
using Collectives = c10d::ProcessGroup;
#endif
using Store = c10::intrusive_ptr<c10d::Store>;

// Until the others make the same call: rank 0 may evaluate meanwhile.
constexpr std::chrono::milliseconds exchangeTimeout = std::chrono::hours(1);

// `host`: an address of this machine that the other ranks reach; empty: the network interface that GLOO_SOCKET_IFNAME names.
c10::intrusive_ptr<Collectives> openGloo(const Store& store, int rank, int worldSize, const std::string& host);
c10::intrusive_ptr<Collectives> openNccl(const Store& store, int rank, int worldSize);
// With the others, and without them.
void closeNccl(Collectives& collectives);
void abortNccl(Collectives& collectives);

// The mean of contiguous float32 tensors, into each, in the order of the current stream.
void meanByNccl(Collectives& collectives, std::vector<at::Tensor>& tensors);

}  // namespace tfjs_torch
