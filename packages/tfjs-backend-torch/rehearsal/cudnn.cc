// cuDNN's backend interface, through which libtorch 2 asks for convolutions: descriptors keep what they are given, every engine
// supports everything without a workspace, and a plan that is executed is one kernel. The rest are stubs.
#include <cudnn.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <vector>

#include "shared.h"

using namespace rehearsal;

namespace {

struct Handle {
  cudaStream_t stream = nullptr;  // first: stubs.cc
};
Handle& of(cudnnHandle_t handle) { return *reinterpret_cast<Handle*>(handle); }

struct Attribute {
  int64_t count;
  std::vector<char> bytes;
};
struct Descriptor {
  std::map<cudnnBackendAttributeName_t, Attribute> attributes;
};
Descriptor& of(cudnnBackendDescriptor_t handle) { return *static_cast<Descriptor*>(handle); }

size_t widthOf(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_DOUBLE: return 8;
    case CUDNN_TYPE_FRACTION: return 16;
    case CUDNN_TYPE_BOOLEAN:
    case CUDNN_TYPE_CHAR: return 1;
    default: return 4;  // float, int32 and the enumerations
  }
}

}  // namespace

extern "C" {

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  *handle = reinterpret_cast<cudnnHandle_t>(new Handle);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  delete &of(handle);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  of(handle).stream = stream;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetStream(cudnnHandle_t handle, cudaStream_t* stream) {
  *stream = of(handle).stream;
  return CUDNN_STATUS_SUCCESS;
}
void cudnnGetLastErrorString(char* message, size_t bytes) {
  if (bytes) message[0] = 0;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t, cudnnBackendDescriptor_t* handle) {
  *handle = new Descriptor;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t handle) {
  delete &of(handle);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t) { return CUDNN_STATUS_SUCCESS; }
cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t handle, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count, const void* elements) {
  const char* bytes = static_cast<const char*>(elements);
  of(handle).attributes[name] = {count, std::vector<char>(bytes, bytes + count * widthOf(type))};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const handle, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t wanted, int64_t* count, void* elements) {
  int64_t ignored;
  if (!count) count = &ignored;
  const auto found = of(handle).attributes.find(name);
  if (found != of(handle).attributes.end()) {
    *count = found->second.count;
    const size_t most = static_cast<size_t>(std::max<int64_t>(wanted, 0)) * widthOf(type);
    if (elements) memcpy(elements, found->second.bytes.data(), std::min(most, found->second.bytes.size()));
    return CUDNN_STATUS_SUCCESS;
  }
  const auto answer = [&](int64_t value) {
    *count = 1;
    if (elements && wanted > 0) *static_cast<int64_t*>(elements) = value;
  };
  *count = 0;
  switch (name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS:      // one way to do it,
    case CUDNN_ATTR_ENGINECFG_ENGINE:        // by one engine,
      *count = 1;
      break;
    case CUDNN_ATTR_OPERATIONGRAPH_ENGINE_GLOBAL_COUNT: answer(1); break;
    case CUDNN_ATTR_ENGINE_GLOBAL_INDEX:     // the first,
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:  // which needs no memory
      answer(0);
      break;
    default: break;
  }
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t, cudnnBackendDescriptor_t) {
  launch(of(handle).stream, "cudnnBackendExecute", "", 0);
  return CUDNN_STATUS_SUCCESS;
}
}
