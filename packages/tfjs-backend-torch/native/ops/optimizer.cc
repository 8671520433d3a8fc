// One AdamW step for all parameters, in place (Loshchilov and Hutter 2019), with global-norm clipping and averages.
#include "by_kernels.h"
#include "ops.h"
#include "prepared.h"

#include "../host/adamw.h"

namespace tfjs_torch {
namespace {

Tensor adamW(const Tensor& scalars, const Tensors& variables, const Tensors& gradients, const Tensors& m, const Tensors& v,
             const Tensors& ema, const std::vector<bool>& decay) {
  const size_t count = variables.size();
  TORCH_CHECK(scalars.numel() == 10 && gradients.size() == count && m.size() == count && v.size() == count &&
                  decay.size() == count && (ema.empty() || ema.size() == count),
              "AdamW wants 10 scalars and equally many variables, gradients and moments");
  for (size_t i = 0; i < count; i++) {
    const auto fits = [&](const Tensor& x) { return x.numel() == variables[i].numel() && x.scalar_type() == at::kFloat; };
    TORCH_CHECK(fits(variables[i]) && gradients[i].numel() == variables[i].numel() && fits(m[i]) && fits(v[i]) && (ema.empty() || fits(ema[i])),
                "slot ", i, ": the variable has shape ", variables[i].sizes(), ", the gradient ", gradients[i].sizes(),
                "; all tensors of a slot are float32 of one size");
  }
  for (const Tensors* written : {&m, &v, &ema}) {
    for (const Tensor& x : *written) forgetCopies(x);
  }
  Tensors copies;
  for (const Tensor& x : variables) copies.push_back(copyToWriteWith(x));
  if (byKernels(scalars)) {
    const Tensor norm = adamWByKernels(scalars, variables, copies, gradients, m, v, ema, decay);
    for (const Tensor& x : variables) renewCopiesOf(x);
    return norm;
  }
  std::vector<AdamWSlot> slots;
  Tensors converted;  // gradients that the storage policy keeps in bf16
  for (size_t i = 0; i < count; i++) {
    converted.push_back(gradients[i].to(at::kFloat));
    slots.push_back({variables[i].numel(), variables[i].data_ptr<float>(), converted[i].data_ptr<float>(), m[i].data_ptr<float>(),
                     v[i].data_ptr<float>(), ema.empty() ? nullptr : ema[i].data_ptr<float>(),
                     copies[i].defined() ? static_cast<Bf16*>(copies[i].data_ptr()) : nullptr, decay[i]});
  }
  AdamWScalars values;
  std::memcpy(&values, scalars.data_ptr<float>(), sizeof values);
  const float norm = gradientNorm(slots, values.gradScale);
  if (std::isfinite(norm)) adamWUpdate(slots, values, norm);
  return at::full({}, norm, scalars.options());
}

}  // namespace

void exportOptimizer(Exports& exports) { exports.push_back(bind<adamW>("adamW")); }

}  // namespace tfjs_torch
