// GroupNorm and LayerNorm with what follows them, and their gradients. GroupNorm is the loops of native/host on the CPU and both are
// the kernels of native/device on a GPU; shapes that those do not take are libtorch calls.
#include "by_kernels.h"
#include "ops.h"

#include "../host/group_norm.h"

namespace tfjs_torch {
namespace {

Tensor full(const Tensor& x) { return x.scalar_type() == at::kFloat ? x : x.to(at::kFloat); }
MaybeTensor full(const MaybeTensor& x) { return x ? MaybeTensor(full(*x)) : std::nullopt; }
// gamma and beta, float32.
std::pair<Tensor, Tensor> affineOf(const Tensor& gamma, const Tensor& beta, int64_t channels) {
  TORCH_CHECK(gamma.numel() == channels && beta.numel() == channels, "gamma ", gamma.sizes(), " and beta ", beta.sizes(), " for ", channels, " channels");
  return {full(gamma), full(beta)};
}
// Scale and shift, float32; both or none.
std::pair<MaybeTensor, MaybeTensor> modulationOf(const MaybeTensor& scale, const MaybeTensor& shift, int64_t n, int64_t channels) {
  for (const MaybeTensor* x : {&scale, &shift}) {
    TORCH_CHECK(x->has_value() == scale.has_value() && (!*x || (*x)->numel() == n * channels), "scale and shift are [", n, ", ", channels, "], or absent both");
  }
  return {full(scale), full(shift)};
}
const float* data(const Tensor& x) { return x.data_ptr<float>(); }
float* out(Tensor& x) { return x.data_ptr<float>(); }

// What a gradient is added to, where kernels take it: of x's type.
MaybeTensor inOnePass(const MaybeTensor& onto, const Tensor& x) {
  return onto && onto->scalar_type() == x.scalar_type() ? onto : std::nullopt;
}
Tensors addedTo(const MaybeTensor& onto, Tensors gradients) {
  if (onto) gradients[0] = at::add(*onto, gradients[0]);
  return gradients;
}

// ---- GroupNorm: x [N, ..., C], statistics over all axes between and the channels of a group ----

GroupNormShape groupNormShape(const Tensor& x, int64_t groups) {
  const int64_t n = x.size(0), channels = x.size(-1);
  TORCH_CHECK(groups > 0 && channels % groups == 0, groups, " groups do not divide ", channels, " channels");
  return {n, n * channels == 0 ? 0 : x.numel() / (n * channels), channels, groups};
}
struct GroupNormOnDevice {
  Tensor xhat, before, after;  // all [N, rows, C]: normalised, times gamma plus beta, modulated
};
GroupNormOnDevice normalise(const GroupNormShape& s, const Tensor& x, const Tensor& stats, const Tensor& gamma,
                            const Tensor& beta, const MaybeTensor& scale, const MaybeTensor& shift) {
  const auto perGroup = [&](int64_t i) { return stats.select(-1, i).view({s.n, 1, s.groups, 1}); };
  const Tensor grouped = full(x).reshape({s.n, s.rows, s.groups, s.channels / s.groups});
  GroupNormOnDevice result;
  result.xhat = at::mul(at::sub(grouped, perGroup(0)), perGroup(1)).view({s.n, s.rows, s.channels});
  result.before = at::addcmul(beta, result.xhat, gamma);
  result.after = scale ? at::addcmul(shift->unsqueeze(1), result.before, at::add(*scale, 1).unsqueeze(1)) : result.before;
  return result;
}
// By libtorch's calls.
Tensor applied(const GroupNormShape& s, const Tensor& x, const Tensor& stats, const Tensor& gamma, const Tensor& beta,
               const MaybeTensor& scale, const MaybeTensor& shift, bool silu) {
  const Tensor y = normalise(s, x, stats, gamma, beta, scale, shift).after;
  return (silu ? at::silu(y) : y).view(x.sizes()).to(x.scalar_type());
}
Tensors groupNorm(const Tensor& given, const Tensor& gammaGiven, const Tensor& betaGiven, const MaybeTensor& scaleGiven,
                  const MaybeTensor& shiftGiven, int64_t groups, double epsilon, bool silu) {
  const GroupNormShape s = groupNormShape(given, groups);
  const auto [gamma, beta] = affineOf(gammaGiven, betaGiven, s.channels);
  const auto [scale, shift] = modulationOf(scaleGiven, shiftGiven, s.n, s.channels);
  if (byKernels(given)) {
    const Tensors result = groupNormByKernels(given, gamma, beta, scale, shift, groups, epsilon, silu);
    if (!result.empty()) return result;
  } else {
    const Tensor x = full(given);
    Tensor y = at::empty_like(x), stats = at::empty({s.n, groups, 2}, x.options());
    const GroupNormWeights weights{data(gamma), data(beta), scale ? data(*scale) : nullptr, shift ? data(*shift) : nullptr};
    groupNormForward(s, data(x), weights, static_cast<float>(epsilon), silu, out(y), out(stats));
    return {y.to(given.scalar_type()), stats};
  }
  const Tensor grouped = full(given).reshape({s.n, s.rows, groups, s.channels / groups});
  const auto moments = at::var_mean(grouped, at::IntArrayRef({1, 3}), /*unbiased=*/false);
  const Tensor stats = at::stack({std::get<1>(moments), at::rsqrt(at::add(std::get<0>(moments), epsilon))}, -1);
  return {applied(s, given, stats, gamma, beta, scale, shift, silu), stats};
}
// y of the above once more, from its stats.
Tensor groupNormApply(const Tensor& stats, const Tensor& given, const Tensor& gammaGiven, const Tensor& betaGiven,
                      const MaybeTensor& scaleGiven, const MaybeTensor& shiftGiven, int64_t groups, bool silu) {
  const GroupNormShape s = groupNormShape(given, groups);
  TORCH_CHECK(stats.numel() == s.n * groups * 2, "stats are [", s.n, ", ", groups, ", 2], not ", stats.sizes());
  const auto [gamma, beta] = affineOf(gammaGiven, betaGiven, s.channels);
  const auto [scale, shift] = modulationOf(scaleGiven, shiftGiven, s.n, s.channels);
  if (!byKernels(given)) {
    const Tensor x = full(given);
    Tensor y = at::empty_like(x);
    const GroupNormWeights weights{data(gamma), data(beta), scale ? data(*scale) : nullptr, shift ? data(*shift) : nullptr};
    groupNormFromStats(s, data(x), data(stats), weights, silu, out(y));
    return y.to(given.scalar_type());
  }
  const Tensor y = groupNormApplyByKernels(stats, given, gamma, beta, scale, shift, groups, silu);
  return y.defined() ? y : applied(s, given, stats, gamma, beta, scale, shift, silu);
}
// dx, dgamma, dbeta, dscale, dshift; the last two where scale was given, the second and third with `parameters`. What x's gradient
// is so far, `onto`, is added to dx: by the kernel in its own pass.
Tensors groupNormGrad(const Tensor& dyGiven, const Tensor& stats, const Tensor& given, const Tensor& gammaGiven,
                      const Tensor& betaGiven, const MaybeTensor& scaleGiven, const MaybeTensor& shiftGiven, int64_t groups, bool silu,
                      bool parameters, const MaybeTensor& onto) {
  const GroupNormShape s = groupNormShape(given, groups);
  const auto [gamma, beta] = affineOf(gammaGiven, betaGiven, s.channels);
  const auto [scale, shift] = modulationOf(scaleGiven, shiftGiven, s.n, s.channels);
  Tensors result;
  if (byKernels(given)) {
    const MaybeTensor fused = inOnePass(onto, given);
    result = groupNormGradByKernels(dyGiven, stats, given, gamma, beta, scale, shift, groups, silu, parameters, fused);
    if (!result.empty()) return fused ? result : addedTo(onto, result);
  } else {
    const Tensor x = full(given), dy = full(dyGiven);
    Tensor dx = at::empty_like(x), dgamma = at::empty_like(gamma), dbeta = at::empty_like(beta), dscale, dshift;
    if (scale) {
      dscale = at::empty_like(*scale);
      dshift = at::empty_like(*scale);
    }
    const GroupNormWeights weights{data(gamma), data(beta), scale ? data(*scale) : nullptr, shift ? data(*shift) : nullptr};
    groupNormBackward(s, data(dy), data(x), data(stats), weights, silu,
                      {out(dx), out(dgamma), out(dbeta), scale ? out(dscale) : nullptr, scale ? out(dshift) : nullptr});
    result.push_back(dx.to(given.scalar_type()));
    if (parameters) result.insert(result.end(), {dgamma, dbeta});
    if (scale) result.insert(result.end(), {dscale, dshift});
    return addedTo(onto, result);
  }
  const GroupNormOnDevice y = normalise(s, given, stats, gamma, beta, scale, shift);
  Tensor du = full(dyGiven).view(y.after.sizes());
  if (silu) du = at::silu_backward(du, y.after);
  const Tensor dt = scale ? at::mul(du, at::add(*scale, 1).unsqueeze(1)) : du;
  const Ints split{s.n, s.rows, groups, s.channels / groups};
  const Tensor dxhat = at::mul(dt, gamma).view(split), xhat = y.xhat.view(split);
  const Tensor mean = at::mean(dxhat, {1, 3}, true), product = at::mean(at::mul(dxhat, xhat), {1, 3}, true);
  const Tensor rstd = stats.select(-1, 1).view({s.n, 1, groups, 1});
  const Tensor dx = at::mul(at::sub(at::sub(dxhat, mean), at::mul(xhat, product)), rstd);
  result.push_back(dx.view(given.sizes()).to(given.scalar_type()));
  if (parameters) result.insert(result.end(), {at::sum(at::mul(dt, y.xhat), at::IntArrayRef({0, 1})), at::sum(dt, at::IntArrayRef({0, 1}))});
  if (scale) result.insert(result.end(), {at::sum(at::mul(du, y.before), {1}), at::sum(du, {1})});
  return addedTo(onto, result);
}

// ---- LayerNorm over the last axis ----

Tensors layerNorm(const Tensor& x, const Tensor& gammaGiven, const Tensor& betaGiven, double epsilon) {
  const auto [gamma, beta] = affineOf(gammaGiven, betaGiven, x.size(-1));
  if (byKernels(x)) {
    const Tensors result = layerNormByKernels(x, gamma, beta, epsilon);
    if (!result.empty()) return result;
  }
  const auto [y, mean, rstd] = at::native_layer_norm(full(x), {x.size(-1)}, gamma, beta, epsilon);
  return {y.to(x.scalar_type()), at::stack({mean.reshape({-1}), rstd.reshape({-1})}, -1)};
}
Tensors layerNormGrad(const Tensor& dy, const Tensor& stats, const Tensor& x, const Tensor& gammaGiven, bool parameters, const MaybeTensor& onto) {
  const Tensor gamma = full(gammaGiven);
  if (byKernels(x)) {
    const MaybeTensor fused = inOnePass(onto, x);
    const Tensors result = layerNormGradByKernels(dy, stats, x, gamma, parameters, fused);
    if (!result.empty()) return fused ? result : addedTo(onto, result);
  }
  Ints rows = x.sizes().vec();
  rows.back() = 1;
  const Tensor mean = stats.select(-1, 0).contiguous().view(rows), rstd = stats.select(-1, 1).contiguous().view(rows);
  const auto [dx, dgamma, dbeta] = at::native_layer_norm_backward(full(dy), full(x), {x.size(-1)}, mean, rstd, gamma,
                                                                  gamma, {true, parameters, parameters});
  return addedTo(onto, parameters ? Tensors{dx.to(x.scalar_type()), dgamma, dbeta} : Tensors{dx.to(x.scalar_type())});
}

}  // namespace

void exportFusedNorms(Exports& exports) {
  exports.insert(exports.end(), {
      bind<groupNorm>("groupNorm"),
      bind<groupNormApply>("groupNormApply"),
      bind<groupNormGrad>("groupNormGrad"),
      bind<layerNorm>("layerNorm"),
      bind<layerNormGrad>("layerNormGrad"),
  });
}

}  // namespace tfjs_torch
