// Attention over time, mixing, GEGLU, AdamW and random numbers: plans, buffers and launches of their kernels in native/device.
#include "by_kernels.h"
#include "kernel_instances.h"

#include "../device/adamw.h"
#include "../device/alpha_mix.h"
#include "../device/geglu.h"
#include "../device/philox.h"
#include "../device/temporal_attention.h"

namespace tfjs_torch {

bool byKernels(const Tensor& x) { return x.is_cuda() || emulating().has_value(); }

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

// ---- AdamW ----

Tensor adamWByKernels(const Tensor& scalars, const Tensors& variables, const Tensors& copies, const Tensors& gradients,
                      const Tensors& m, const Tensors& v, const Tensors& ema, const std::vector<bool>& decay) {
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
    table.copy[slot] = copies[i].defined() ? data<Bf16>(copies[i]) : nullptr;
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
