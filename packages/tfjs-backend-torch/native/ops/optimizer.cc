// One AdamW step for all parameters, in place (Loshchilov and Hutter 2019), with global-norm clipping and averages.
#include "ops.h"

#include "../host/adamw.h"

namespace tfjs_torch {
namespace {

// The same on any device, from libtorch calls, without reading anything back: `fine` is 1 where the norm is finite, else 0.
Tensor adamWOnDevice(const Tensor& scalars, const Tensors& variables, const Tensors& gradients, const Tensors& m,
                     const Tensors& v, const Tensors& ema, const std::vector<bool>& decay) {
  const auto scalar = [&](int64_t i) { return scalars.select(0, i); };
  Tensors norms;
  for (const Tensor& gradient : gradients) norms.push_back(at::linalg_vector_norm(gradient));
  const Tensor norm = at::mul(at::linalg_vector_norm(at::stack(norms)), at::abs(scalar(9)));
  const Tensor fine = at::isfinite(norm);
  const Tensor clip = at::mul(at::clamp_max(at::div(scalar(8), at::add(norm, 1e-6)), 1), scalar(9));
  const auto write = [&](const Tensor& target, const Tensor& value) {
    Tensor to = target;
    to.copy_(at::where(fine, value, target));
  };
  for (size_t i = 0; i < variables.size(); i++) {
    const Tensor g = at::mul(gradients[i], clip);
    write(m[i], at::lerp(g, m[i], scalar(1).expand(g.sizes())));
    write(v[i], at::lerp(at::mul(g, g), v[i], scalar(2).expand(g.sizes())));
    const Tensor step = at::div(at::mul(m[i], at::div(scalar(0), scalar(5))), at::add(at::sqrt(at::div(v[i], scalar(6))), scalar(3)));
    const Tensor kept = decay[i] ? at::mul(variables[i], at::rsub(at::mul(scalar(0), scalar(4)), 1)) : variables[i];
    write(variables[i], at::sub(kept, step));
    if (!ema.empty()) write(ema[i], at::lerp(variables[i], ema[i], scalar(7).expand(g.sizes())));
  }
  return norm;
}

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
  if (!scalars.is_cpu()) return adamWOnDevice(scalars, variables, gradients, m, v, ema, decay);
  std::vector<AdamWSlot> slots;
  Tensors converted;  // gradients that the storage policy keeps in bf16
  for (size_t i = 0; i < count; i++) {
    converted.push_back(gradients[i].to(at::kFloat));
    slots.push_back({variables[i].numel(), variables[i].data_ptr<float>(), converted[i].data_ptr<float>(), m[i].data_ptr<float>(),
                     v[i].data_ptr<float>(), ema.empty() ? nullptr : ema[i].data_ptr<float>(), decay[i]});
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
