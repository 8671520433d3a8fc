// NCCL: communicators that know their ranks and connect nothing; a collective is one kernel that leaves the values as they are, so that
// a process can be any rank of a group alone, as far as NCCL goes. In a group of calls NCCL joins them into fewer kernels.
#if __has_include(<nccl.h>)
#include <nccl.h>

#include <cstring>

#include "shared.h"

using namespace rehearsal;

struct ncclComm {
  int ranks, rank;
};

namespace {

ncclResult_t collective(const char* name, size_t count, ncclComm_t comm, cudaStream_t stream) {
  launch(stream, name, "ranks " + std::to_string(comm->ranks), static_cast<long long>(count));
  return ncclSuccess;
}

}  // namespace

extern "C" {

ncclResult_t ncclGetVersion(int* version) {
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}
const char* ncclGetErrorString(ncclResult_t) { return "an error of the stand-in for NCCL"; }
const char* ncclGetLastError(ncclComm_t) { return ""; }
ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  memset(id, 1, sizeof *id);
  return ncclSuccess;
}
ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId, int rank, ncclConfig_t*) {
  Lock lock(everything);
  if (forbidden("ncclCommInitRankConfig")) return ncclUnhandledCudaError;
  *comm = new ncclComm{ranks, rank};
  return ncclSuccess;
}
ncclResult_t ncclCommInitRank(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank) {
  return ncclCommInitRankConfig(comm, ranks, id, rank, nullptr);
}
ncclResult_t ncclCommInitRankScalable(ncclComm_t* comm, int ranks, int rank, int, ncclUniqueId* ids, ncclConfig_t* config) {
  return ncclCommInitRankConfig(comm, ranks, ids[0], rank, config);
}
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  delete comm;
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) { return ncclCommDestroy(comm); }
ncclResult_t ncclCommCount(ncclComm_t comm, int* ranks) {
  *ranks = comm->ranks;
  return ncclSuccess;
}
ncclResult_t ncclCommUserRank(ncclComm_t comm, int* rank) {
  *rank = comm->rank;
  return ncclSuccess;
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t, ncclResult_t* error) {
  *error = ncclSuccess;
  return ncclSuccess;
}
ncclResult_t ncclAllReduce(const void*, void*, size_t count, ncclDataType_t, ncclRedOp_t, ncclComm_t comm, cudaStream_t stream) {
  return collective("ncclAllReduce", count, comm, stream);
}
ncclResult_t ncclBroadcast(const void*, void*, size_t count, ncclDataType_t, int, ncclComm_t comm, cudaStream_t stream) {
  return collective("ncclBroadcast", count, comm, stream);
}
ncclResult_t ncclBcast(void*, size_t count, ncclDataType_t, int, ncclComm_t comm, cudaStream_t stream) {
  return collective("ncclBcast", count, comm, stream);
}
ncclResult_t ncclAllGather(const void*, void*, size_t count, ncclDataType_t, ncclComm_t comm, cudaStream_t stream) {
  return collective("ncclAllGather", count * comm->ranks, comm, stream);
}
}
#endif
