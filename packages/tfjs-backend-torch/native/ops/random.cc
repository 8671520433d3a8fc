// Standard normals as a function of (seed, stream, step, index).
#include "by_kernels.h"
#include "ops.h"

#include "../device/philox.h"

namespace tfjs_torch {
namespace {

Tensor philoxNormal(const Tensor& step, const Ints& shape, double seed, double stream, double offset) {
  TORCH_CHECK(step.numel() == 1 && step.scalar_type() == at::kInt, "philoxNormal: step is one int32 element");
  if (byKernels(step)) {
    return philoxNormalByKernels(step, shape, static_cast<uint64_t>(seed), static_cast<uint64_t>(stream), static_cast<uint64_t>(offset));
  }
  const auto number = static_cast<uint32_t>(step.item<int32_t>());
  Tensor values = at::empty(shape, at::TensorOptions().dtype(at::kFloat));
  const PhiloxAt at{static_cast<uint64_t>(seed), static_cast<uint64_t>(stream), number, static_cast<uint64_t>(offset)};
  philoxNormals(at, values.numel(), values.data_ptr<float>());
  return values;
}

}  // namespace

void exportRandom(Exports& exports) { exports.push_back(bind<philoxNormal>("philoxNormal")); }

}  // namespace tfjs_torch
