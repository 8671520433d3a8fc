// Plans, buffers and launches of the kernels in native/device.
#include "by_kernels.h"

#include "../device/adamw.h"
#include "../device/alpha_mix.h"
#include "../device/geglu.h"
#include "../device/group_norm.h"
#include "../device/launch.h"
#include "../device/layer_norm.h"
#include "../device/philox.h"
#include "../device/temporal_attention.h"

namespace tfjs_torch {

bool byKernels(const Tensor& x) { return x.is_cuda() || emulating(); }

namespace {

template <class T>
T* data(const Tensor& x) {
  return static_cast<T*>(x.data_ptr());
}
float* floats(const MaybeTensor& x) { return x && x->defined() ? data<float>(*x) : nullptr; }

// f(a value of the element type, its name)
template <class F>
void withType(const Tensor& x, F f) {
  if (x.scalar_type() == at::kBFloat16) f(Bf16(), "Bf16");
  else f(float(), "float");
}
template <class F>
void withVector(int64_t vector, F f) {
  switch (vector) {
    case 8: return f(std::integral_constant<int, 8>());
    case 4: return f(std::integral_constant<int, 4>());
    case 2: return f(std::integral_constant<int, 2>());
    default: return f(std::integral_constant<int, 1>());
  }
}
std::string named(const char* name, std::initializer_list<std::string> arguments) {
  std::string result(name), separator = "<";
  for (const std::string& argument : arguments) {
    result += separator + argument;
    separator = ",";
  }
  return result + ">";
}
bool taken(const Tensor& x) { return x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16; }
// Neighbours in one access of 16 bytes, or fewer where rows of `width` do not divide so.
int64_t vectorFor(const Tensor& x, int64_t width) {
  int64_t vector = x.scalar_type() == at::kBFloat16 ? 8 : 4;
  while (width % vector != 0) vector /= 2;
  return vector;
}

// ---- GroupNorm ----

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
Tensor floatsLike(const Tensor& x, const Ints& shape) { return at::empty(shape, x.options().dtype(at::kFloat)); }

}  // namespace

Tensors groupNormByKernels(const Tensor& x, const Tensor& gamma, const Tensor& beta, const MaybeTensor& scale,
                           const MaybeTensor& shift, int64_t groups, double epsilon, bool silu) {
  const Norm norm = planNorm(x, groups, blocksForSums), result = planNorm(x, groups, blocksForResult);
  const GroupNormPlan& plan = norm.plan;
  if (norm.vector == 0) return {};
  const Tensor stats = floatsLike(x, {plan.n, groups, 2}), y = at::empty_like(x);
  const Tensor partial = floatsLike(x, {plan.n, plan.chunks, groups, 2});
  const GroupNormInputs in{floats(gamma), floats(beta), floats(scale), floats(shift), floats(stats)};
  withType(x, [&](auto element, const char* type) {
    using X = decltype(element);
    withVector(norm.vector, [&](auto width) {
      constexpr int V = decltype(width)::value;
      const std::string v = std::to_string(V);
      launch(x.device(), named("GroupNormPartial", {type, v}), GroupNormPartial<X, V>{plan, data<X>(x), data<float>(partial)}, norm.rows());
      launch(x.device(), named("GroupNormStats", {type}),
             GroupNormStats<X>{plan, data<X>(x), data<float>(partial), static_cast<float>(epsilon), data<float>(stats)},
             {plan.n * groups, 32, 32 * 2 * sizeof(double)});
      launch(x.device(), named("GroupNormApply", {type, v}), GroupNormApply<X, V>{result.plan, in, data<X>(x), silu, data<X>(y)}, result.rows(0));
    });
  });
  return {y, stats};
}

Tensors groupNormGradByKernels(const Tensor& dy, const Tensor& stats, const Tensor& x, const Tensor& gamma,
                               const Tensor& beta, const MaybeTensor& scale, const MaybeTensor& shift, int64_t groups,
                               bool silu, bool parameters) {
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
               GroupNormGradApply<X, D, V>{last.plan, in, data<X>(x), data<D>(dy), data<float>(groupSums), silu, data<X>(dx)}, last.rows(0));
      });
    });
  });
  return result;
}

// ---- Attention over time ----

namespace {

constexpr int temporalThreads = 128;
constexpr int64_t mostFrames = 24;

// Channels per thread: as many as leave keys and values (and their gradients) in registers, in at most 32 threads.
struct Lanes {
  int64_t vector, lanes;  // lanes 0: not taken
};
Lanes lanesFor(int64_t frames, int64_t width, int64_t held) {
  for (int64_t vector : {8, 4, 2, 1}) {
    if (width % vector != 0 || (frames * vector > held && vector > 1 && width / (vector / 2) <= 32)) continue;
    int64_t lanes = 1;
    while (lanes * vector < width) lanes *= 2;
    return {vector, lanes <= 32 ? lanes : 0};
  }
  return {1, 0};
}
TemporalPlan temporalPlan(const Tensor& q, int64_t heads, int64_t window, int64_t lanes) {
  return {q.size(0), q.size(2), window, static_cast<int>(heads), static_cast<int>(q.size(3) / heads), static_cast<int>(lanes)};
}
LaunchShape temporalShape(const TemporalPlan& plan) {
  return {(plan.units() * plan.lanes + temporalThreads - 1) / temporalThreads, temporalThreads};
}
// Numbers of frames for which the host has instances; a GPU's are compiled as they come.
template <class F>
void withFrames(const Tensor& q, F f) {
  switch (q.is_cpu() ? q.size(1) : 2) {
    case 2: return f(std::integral_constant<int, 2>());
    case 3: return f(std::integral_constant<int, 3>());
    case 8: return f(std::integral_constant<int, 8>());
    default: TORCH_CHECK(false, "the emulator knows 2, 3 and 8 frames");
  }
}
constexpr int64_t forwardHeld = 64, backwardHeld = 32;

}  // namespace

bool temporalAttentionByKernelsTakes(const Tensor& q, int64_t heads) {
  const int64_t frames = q.size(1), width = q.size(3) / heads;
  const bool instance = !q.is_cpu() || frames == 2 || frames == 3 || frames == 8;
  return taken(q) && instance && q.numel() > 0 && frames <= mostFrames && lanesFor(frames, width, forwardHeld).lanes > 0 &&
         lanesFor(frames, width, backwardHeld).lanes > 0;
}

Tensor temporalAttentionByKernels(const Tensor& q, const Tensor& kGiven, const Tensor& vGiven, int64_t heads, int64_t window) {
  const Lanes lanes = lanesFor(q.size(1), q.size(3) / heads, forwardHeld);
  const TemporalPlan plan = temporalPlan(q, heads, window, lanes.lanes);
  const Tensor k = kGiven.to(q.scalar_type()), v = vGiven.to(q.scalar_type()), y = at::empty_like(q);
  withType(q, [&](auto element, const char* type) {
    using X = decltype(element);
    withFrames(q, [&](auto frames) {
      withVector(lanes.vector, [&](auto width) {
        const std::string name = named("TemporalForward", {type, std::to_string(q.size(1)), std::to_string(lanes.vector), std::to_string(lanes.lanes)});
        launch(q.device(), name,
               TemporalForward<X, decltype(frames)::value, decltype(width)::value, 0>{plan, data<X>(q), data<X>(k), data<X>(v), data<X>(y)},
               temporalShape(plan));
      });
    });
  });
  return y;
}

Tensors temporalAttentionGradByKernels(const Tensor& dy, const Tensor& q, const Tensor& kGiven, const Tensor& vGiven,
                                       int64_t heads, int64_t window) {
  const Lanes lanes = lanesFor(q.size(1), q.size(3) / heads, backwardHeld);
  const TemporalPlan plan = temporalPlan(q, heads, window, lanes.lanes);
  const Tensor k = kGiven.to(q.scalar_type()), v = vGiven.to(q.scalar_type());
  const Tensor dq = at::empty_like(q), dk = at::empty_like(q), dv = at::empty_like(q);
  withType(q, [&](auto element, const char* type) {
    using X = decltype(element);
    withType(dy, [&](auto slope, const char* slopeType) {
      using D = decltype(slope);
      withFrames(q, [&](auto frames) {
        withVector(lanes.vector, [&](auto width) {
          const std::string name = named("TemporalBackward", {type, slopeType, std::to_string(q.size(1)), std::to_string(lanes.vector), std::to_string(lanes.lanes)});
          launch(q.device(), name,
                 TemporalBackward<X, D, decltype(frames)::value, decltype(width)::value, 0>{
                     plan, data<D>(dy), data<X>(q), data<X>(k), data<X>(v), data<X>(dq), data<X>(dk), data<X>(dv)},
                 temporalShape(plan));
        });
      });
    });
  });
  return {dq, dk, dv};
}

// ---- Alpha mix ----

namespace {

constexpr int threadsOfBlock = 256;
int64_t blocksOf(int64_t count, int64_t each) { return (count + each - 1) / each; }

AlphaMixPlan alphaMixPlan(const Tensor& x, const Tensor& factor, bool switched, int64_t vector) {
  const int64_t factors = factor.numel(), groups = factor.dim() == 0 ? 1 : x.size(0) * factors, width = x.numel() / groups;
  const int64_t each = 4 * threadsOfBlock * vector;
  return {groups, width, each, static_cast<int>(factors), static_cast<int>(blocksOf(width, each)), switched};
}
int64_t alphaMixVector(const Tensor& x, const Tensor& factor) { return vectorFor(x, alphaMixPlan(x, factor, false, 1).width); }
bool mixes(const Tensor& spatial, const Tensor& temporal) {
  return taken(spatial) && spatial.scalar_type() == temporal.scalar_type() && spatial.numel() > 0;
}

}  // namespace

Tensor alphaMixByKernels(const Tensor& spatial, const Tensor& temporal, const Tensor& factor, bool switched) {
  if (!mixes(spatial, temporal)) return {};
  const int64_t vector = alphaMixVector(spatial, factor);
  const AlphaMixPlan plan = alphaMixPlan(spatial, factor, switched, vector);
  const Tensor y = at::empty_like(spatial);
  withType(spatial, [&](auto element, const char* type) {
    using X = decltype(element);
    withVector(vector, [&](auto width) {
      constexpr int V = decltype(width)::value;
      launch(y.device(), named("AlphaMixForward", {type, std::to_string(V)}),
             AlphaMixForward<X, V>{plan, data<X>(spatial), data<X>(temporal), data<float>(factor), data<X>(y)},
             {plan.groups * plan.chunks, threadsOfBlock});
    });
  });
  return y;
}

Tensors alphaMixGradByKernels(const Tensor& dy, const Tensor& spatial, const Tensor& temporal, const Tensor& factor, bool switched,
                              bool ofFactor) {
  if (!mixes(spatial, temporal) || !taken(dy)) return {};
  const int64_t vector = alphaMixVector(spatial, factor);
  const AlphaMixPlan plan = alphaMixPlan(spatial, factor, switched, vector);
  const Tensor dspatial = at::empty_like(spatial), dtemporal = at::empty_like(temporal);
  MaybeTensor partial;
  if (ofFactor) partial = floatsLike(spatial, {plan.groups, plan.chunks});
  withType(spatial, [&](auto element, const char* type) {
    using X = decltype(element);
    withType(dy, [&](auto slope, const char* slopeType) {
      using D = decltype(slope);
      withVector(vector, [&](auto width) {
        constexpr int V = decltype(width)::value;
        launch(dy.device(), named("AlphaMixBackward", {type, slopeType, std::to_string(V)}),
               AlphaMixBackward<X, D, V>{plan, data<D>(dy), data<X>(spatial), data<X>(temporal), data<float>(factor), data<X>(dspatial),
                                         data<X>(dtemporal), floats(partial)},
               {plan.groups * plan.chunks, threadsOfBlock, threadsOfBlock * sizeof(float)});
      });
    });
  });
  if (!ofFactor) return {dspatial, dtemporal};
  const Tensor dfactor = at::empty_like(factor);
  launch(dy.device(), "AlphaMixFactorGrad", AlphaMixFactorGrad{plan, floats(partial), data<float>(factor), data<float>(dfactor)},
         {plan.factors, threadsOfBlock, threadsOfBlock * sizeof(double)});
  return {dspatial, dtemporal, dfactor};
}

// ---- GEGLU ----

Tensor gegluByKernels(const Tensor& x) {
  const int64_t width = x.size(-1) / 2;
  if (!taken(x) || x.numel() == 0) return {};
  const GegluPlan plan{x.numel() / (2 * width), width};
  Ints shape = x.sizes().vec();
  shape.back() = width;
  const Tensor y = at::empty(shape, x.options());
  withType(x, [&](auto element, const char* type) {
    using X = decltype(element);
    withVector(vectorFor(x, width), [&](auto vector) {
      constexpr int V = decltype(vector)::value;
      launch(x.device(), named("GegluForward", {type, std::to_string(V)}), GegluForward<X, V>{plan, data<X>(x), data<X>(y)},
             {blocksOf(y.numel(), threadsOfBlock * V), threadsOfBlock});
    });
  });
  return y;
}

Tensor gegluGradByKernels(const Tensor& dy, const Tensor& x) {
  const int64_t width = x.size(-1) / 2;
  if (!taken(x) || !taken(dy) || x.numel() == 0) return {};
  const GegluPlan plan{x.numel() / (2 * width), width};
  const Tensor dx = at::empty_like(x);
  withType(x, [&](auto element, const char* type) {
    using X = decltype(element);
    withType(dy, [&](auto slope, const char* slopeType) {
      using D = decltype(slope);
      withVector(vectorFor(x, width), [&](auto vector) {
        constexpr int V = decltype(vector)::value;
        launch(x.device(), named("GegluBackward", {type, slopeType, std::to_string(V)}),
               GegluBackward<X, D, V>{plan, data<D>(dy), data<X>(x), data<X>(dx)}, {blocksOf(dy.numel(), threadsOfBlock * V), threadsOfBlock});
      });
    });
  });
  return dx;
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

Tensors layerNormGradByKernels(const Tensor& dy, const Tensor& stats, const Tensor& x, const Tensor& gamma, bool parameters) {
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
               LayerNormBackward<X, D, V>{plan, data<D>(dy), data<X>(x), data<float>(gamma), data<float>(stats), data<X>(dx)}, norm.rows());
        if (!parameters) return;
        launch(x.device(), named("LayerNormColumns", instance),
               LayerNormColumns<X, D, V>{plan, data<D>(dy), data<X>(x), data<float>(stats), norm.chunks(), floats(partial)},
               {norm.chunks(), plan.lanes * plan.rowsAtOnce, size_t{8} * plan.rowsAtOnce * plan.channels});
      });
    });
  });
  if (!parameters) return {dx};
  return {dx, at::sum(partial->select(0, 0), {0}), at::sum(partial->select(0, 1), {0})};
}

// ---- AdamW ----

Tensor adamWByKernels(const Tensor& scalars, const Tensors& variables, const Tensors& gradients, const Tensors& m,
                      const Tensors& v, const Tensors& ema, const std::vector<bool>& decay) {
  const size_t count = variables.size();
  std::vector<AdamWTable> tables;
  std::vector<int64_t> blocks;
  for (size_t i = 0; i < count; i++) {
    if (variables[i].numel() == 0) continue;
    if (tables.empty() || tables.back().count == adamWSlots) {
      tables.push_back(AdamWTable());
      blocks.push_back(0);
    }
    AdamWTable& table = tables.back();
    const int slot = table.count++;
    table.variable[slot] = data<float>(variables[i]);
    TORCH_CHECK(taken(gradients[i]), "slot ", i, ": the gradient is ", gradients[i].scalar_type());
    table.gradient[slot] = gradients[i].data_ptr();
    table.low[slot] = gradients[i].scalar_type() == at::kBFloat16;
    table.m[slot] = data<float>(m[i]);
    table.v[slot] = data<float>(v[i]);
    table.ema[slot] = ema.empty() ? nullptr : data<float>(ema[i]);
    table.size[slot] = variables[i].numel();
    table.decay[slot] = decay[i];
    table.firstBlock[slot] = static_cast<int>(blocks.back());
    blocks.back() += (variables[i].numel() + adamWBlock - 1) / adamWBlock;
  }
  int64_t total = 0;
  for (int64_t n : blocks) total += n;
  const Tensor partial = floatsLike(scalars, {total}), norm = floatsLike(scalars, {});
  int64_t done = 0;
  for (size_t t = 0; t < tables.size(); t++) {
    launch(scalars.device(), "AdamWSquares", AdamWSquares{tables[t], data<float>(partial) + done}, {blocks[t], adamWThreads, adamWThreads * sizeof(float)});
    done += blocks[t];
  }
  launch(scalars.device(), "AdamWNorm", AdamWNorm{data<float>(partial), data<float>(scalars), total, data<float>(norm)},
         {1, adamWThreads, adamWThreads * sizeof(double)});
  for (size_t t = 0; t < tables.size(); t++) {
    launch(scalars.device(), "AdamWUpdate", AdamWUpdate{tables[t], data<float>(scalars), data<float>(norm)}, {blocks[t], adamWThreads});
  }
  return norm;
}

// ---- Random numbers ----

Tensor philoxNormalByKernels(const Tensor& step, const Ints& shape, uint64_t seed, uint64_t stream, uint64_t offset) {
  const Tensor values = at::empty(shape, step.options().dtype(at::kFloat));
  const int64_t quads = (static_cast<int64_t>(offset % 4) + values.numel() + 3) / 4;
  if (values.numel() == 0) return values;
  launch(step.device(), "PhiloxNormals", PhiloxNormals{{seed, stream, 0, offset}, data<int32_t>(step), values.numel(), data<float>(values)},
         {(quads + 255) / 256, 256});
  return values;
}

}  // namespace tfjs_torch
