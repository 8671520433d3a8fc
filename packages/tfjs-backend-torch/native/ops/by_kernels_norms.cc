// GroupNorm and LayerNorm: plans, buffers and launches of their kernels in native/device.
#include "by_kernels.h"
#include "kernel_instances.h"

#include "../device/group_norm.h"
#include "../device/layer_norm.h"

namespace tfjs_torch {

// ---- GroupNorm ----

namespace {

// Four and eight for each multiprocessor of an H100. More blocks hide more waiting, and leave more sums to be added up.
constexpr int64_t blocksForSums = 528, blocksForResult = 1056;
constexpr int64_t sharedChannels = 6144;  // rowsAtOnce * channels pairs of floats in 48 KiB

struct Norm {
  GroupNormPlan plan;
  int64_t vector = 0;  // 0: the shape is not taken
  // With room for two sums of each thread's channels, or for nothing.
  LaunchShape rows(size_t sumBytes = 8) const {
    return {plan.n * plan.chunks, plan.lanes * plan.rowsAtOnce, sumBytes * plan.rowsAtOnce * plan.channels};
  }
};
Norm planNorm(const Tensor& x, int64_t groups, int64_t blocks) {
  Norm norm;
  const int64_t n = x.size(0), channels = x.size(-1);
  if (!taken(x) || x.numel() == 0 || channels > sharedChannels) return norm;
  const int64_t vector = vectorFor(x, channels);
  const int64_t rows = x.numel() / (n * channels), lanes = channels / vector;
  if (lanes > 1024) return norm;
  const int64_t atOnce = std::max<int64_t>(1, std::min({256 / lanes, rows, sharedChannels / channels}));
  const int64_t most = (rows + 4 * atOnce - 1) / (4 * atOnce);
  const int64_t wanted = std::min(most, (blocks + n - 1) / n), each = (rows + wanted - 1) / wanted;
  norm.vector = vector;
  norm.plan = {n, rows, each, static_cast<int>(channels), static_cast<int>(groups), static_cast<int>(channels / groups),
               static_cast<int>(lanes), static_cast<int>(atOnce), static_cast<int>((rows + each - 1) / each)};
  return norm;
}

}  // namespace

Tensors groupNormByKernels(const Tensor& x, const Tensor& gamma, const Tensor& beta, const MaybeTensor& scale,
                           const MaybeTensor& shift, int64_t groups, double epsilon, bool silu) {
  const Norm norm = planNorm(x, groups, blocksForSums);
  const GroupNormPlan& plan = norm.plan;
  if (norm.vector == 0) return {};
  const Tensor stats = floatsLike(x, {plan.n, groups, 2}), partial = floatsLike(x, {plan.n, plan.chunks, groups, 2});
  withType(x, [&](auto element, const char* type) {
    using X = decltype(element);
    withVector(norm.vector, [&](auto width) {
      constexpr int V = decltype(width)::value;
      const std::string v = std::to_string(V);
      launch(x.device(), named("GroupNormPartial", {type, v}), GroupNormPartial<X, V>{plan, data<X>(x), data<float>(partial)}, norm.rows());
      launch(x.device(), named("GroupNormStats", {type}),
             GroupNormStats<X>{plan, data<X>(x), data<float>(partial), static_cast<float>(epsilon), data<float>(stats)},
             {plan.n * groups, 32, 32 * 2 * sizeof(double)});
    });
  });
  return {groupNormApplyByKernels(stats, x, gamma, beta, scale, shift, groups, silu), stats};
}

Tensor groupNormApplyByKernels(const Tensor& stats, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                               const MaybeTensor& scale, const MaybeTensor& shift, int64_t groups, bool silu) {
  const Norm norm = planNorm(x, groups, blocksForResult);
  if (norm.vector == 0) return {};
  const Tensor y = at::empty_like(x);
  const GroupNormInputs in{floats(gamma), floats(beta), floats(scale), floats(shift), floats(stats)};
  withType(x, [&](auto element, const char* type) {
    using X = decltype(element);
    withVector(norm.vector, [&](auto width) {
      constexpr int V = decltype(width)::value;
      launch(x.device(), named("GroupNormApply", {type, std::to_string(V)}), GroupNormApply<X, V>{norm.plan, in, data<X>(x), silu, data<X>(y)},
             norm.rows(0));
    });
  });
  return y;
}

Tensors groupNormGradByKernels(const Tensor& dy, const Tensor& stats, const Tensor& x, const Tensor& gamma,
                               const Tensor& beta, const MaybeTensor& scale, const MaybeTensor& shift, int64_t groups,
                               bool silu, bool parameters, const MaybeTensor& onto) {
  const Norm norm = planNorm(x, groups, blocksForSums), last = planNorm(x, groups, blocksForResult);
  const GroupNormPlan& plan = norm.plan;
  if (norm.vector == 0 || !taken(dy)) return {};
  const int64_t channels = plan.channels;
  const Tensor partial = floatsLike(x, {plan.n, plan.chunks, channels, 2}), sums = floatsLike(x, {plan.n, channels, 2});
  const Tensor groupSums = floatsLike(x, {plan.n, groups, 2}), dx = at::empty_like(x);
  Tensors result{dx};
  MaybeTensor dgamma, dbeta, dscale, dshift;
  if (parameters) {
    dgamma = at::empty_like(gamma);
    dbeta = at::empty_like(beta);
    result.insert(result.end(), {*dgamma, *dbeta});
  }
  if (scale) {
    dscale = at::empty_like(*scale);
    dshift = at::empty_like(*scale);
    result.insert(result.end(), {*dscale, *dshift});
  }
  const GroupNormInputs in{floats(gamma), floats(beta), floats(scale), floats(shift), floats(stats)};
  withType(x, [&](auto element, const char* type) {
    using X = decltype(element);
    withType(dy, [&](auto slope, const char* slopeType) {
      using D = decltype(slope);
      withVector(norm.vector, [&](auto width) {
        constexpr int V = decltype(width)::value;
        const std::string v = std::to_string(V);
        launch(x.device(), named("GroupNormGradPartial", {type, slopeType, v}),
               GroupNormGradPartial<X, D, V>{plan, in, data<X>(x), data<D>(dy), silu, data<float>(partial)}, norm.rows());
        launch(x.device(), "GroupNormGradSums", GroupNormGradSums{plan, in, data<float>(partial), data<float>(sums), floats(dscale), floats(dshift)},
               {(plan.n * channels * 2 + 31) / 32, 256, 256 * sizeof(double)});
        launch(x.device(), "GroupNormGradGroups", GroupNormGradGroups{plan, in, data<float>(sums), data<float>(groupSums), floats(dgamma), floats(dbeta)},
               {plan.n * groups + (parameters ? (channels + 31) / 32 : 0), 32});
        launch(x.device(), named("GroupNormGradApply", {type, slopeType, v}),
               GroupNormGradApply<X, D, V>{last.plan, in, data<X>(x), data<D>(dy), data<float>(groupSums), silu, onto ? data<X>(*onto) : nullptr, data<X>(dx)}, last.rows(0));
      });
    });
  });
  return result;
}

// ---- LayerNorm ----

namespace {

struct RowNorm {
  LayerNormPlan plan;
  int64_t vector = 0;  // 0: the shape is not taken
  LaunchShape rows() const { return {blocksOf(plan.rows, 4), 128}; }
  int64_t chunks() const { return blocksOf(plan.rows, plan.rowsEach); }
};
RowNorm planRows(const Tensor& x) {
  RowNorm norm;
  const int64_t channels = x.size(-1);
  if (!taken(x) || x.numel() == 0 || channels > sharedChannels) return norm;
  const int64_t vector = vectorFor(x, channels), rows = x.numel() / channels, lanes = channels / vector;
  if (lanes > 1024) return norm;
  const int64_t atOnce = std::max<int64_t>(1, std::min({threadsOfBlock / lanes, rows, sharedChannels / channels}));
  const int64_t chunks = std::min(blocksOf(rows, 4 * atOnce), blocksForSums);
  norm.vector = vector;
  norm.plan = {rows, blocksOf(rows, chunks), static_cast<int>(channels), static_cast<int>(lanes), static_cast<int>(atOnce)};
  return norm;
}

}  // namespace

Tensors layerNormByKernels(const Tensor& x, const Tensor& gamma, const Tensor& beta, double epsilon) {
  const RowNorm norm = planRows(x);
  if (norm.vector == 0) return {};
  const Tensor y = at::empty_like(x), stats = floatsLike(x, {norm.plan.rows, 2});
  withType(x, [&](auto element, const char* type) {
    using X = decltype(element);
    withVector(norm.vector, [&](auto width) {
      constexpr int V = decltype(width)::value;
      launch(x.device(), named("LayerNormForward", {type, std::to_string(V)}),
             LayerNormForward<X, V>{norm.plan, data<X>(x), data<float>(gamma), data<float>(beta), static_cast<float>(epsilon), data<float>(stats),
                                    data<X>(y)},
             norm.rows());
    });
  });
  return {y, stats};
}

Tensors layerNormGradByKernels(const Tensor& dy, const Tensor& stats, const Tensor& x, const Tensor& gamma, bool parameters,
                               const MaybeTensor& onto) {
  const RowNorm norm = planRows(x);
  if (norm.vector == 0 || !taken(dy)) return {};
  const LayerNormPlan& plan = norm.plan;
  const Tensor dx = at::empty_like(x);
  MaybeTensor partial;
  if (parameters) partial = floatsLike(x, {2, norm.chunks(), plan.channels});
  withType(x, [&](auto element, const char* type) {
    using X = decltype(element);
    withType(dy, [&](auto slope, const char* slopeType) {
      using D = decltype(slope);
      withVector(norm.vector, [&](auto width) {
        constexpr int V = decltype(width)::value;
        const std::initializer_list<std::string> instance{type, slopeType, std::to_string(V)};
        launch(x.device(), named("LayerNormBackward", instance),
               LayerNormBackward<X, D, V>{plan, data<D>(dy), data<X>(x), data<float>(gamma), data<float>(stats), onto ? data<X>(*onto) : nullptr,
                                         data<X>(dx)},
               norm.rows());
        if (!parameters) return;
        launch(x.device(), named("LayerNormColumns", instance),
               LayerNormColumns<X, D, V>{plan, data<D>(dy), data<X>(x), data<float>(stats), norm.chunks(), floats(partial)},
               {norm.chunks(), plan.lanes * plan.rowsAtOnce, size_t{8} * plan.rowsAtOnce * plan.channels});
      });
    });
  });
  if (!parameters) return {dx};
  const Tensor dgamma = floatsLike(x, {plan.channels}), dbeta = floatsLike(x, {plan.channels});
  columnTotals(*partial, data<float>(dgamma), data<float>(dbeta));
  return {dx, dgamma, dbeta};
}

}  // namespace tfjs_torch
