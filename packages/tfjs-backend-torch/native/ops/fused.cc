// Operations in one call each: attention, gated activations, upsampling, mixing, and their gradients. Temporal attention, GEGLU and
// mixing are the loops of native/host on the CPU and the kernels of native/device on a GPU; shapes that those do not take, and
// the rest, are libtorch calls.
#include "by_kernels.h"
#include "fused_attention.h"
#include "ops.h"
#include "precision.h"
#include "product.h"

#include "../host/alpha_mix.h"
#include "../host/geglu.h"
#include "../host/temporal_attention.h"

namespace tfjs_torch {
namespace {

Tensor full(const Tensor& x) { return x.scalar_type() == at::kFloat ? x : x.to(at::kFloat); }
const float* data(const Tensor& x) { return x.data_ptr<float>(); }
float* out(Tensor& x) { return x.data_ptr<float>(); }

// ---- Attention: q [N, L, h*d], k and v [N, M, h*d] ----

Tensor headsFirst(const Tensor& x, int64_t heads) {  // [N * h, L, d]
  const int64_t n = x.size(0), length = x.size(1), width = x.size(2) / heads;
  return forMatmul(x).view({n, length, heads, width}).permute({0, 2, 1, 3}).reshape({n * heads, length, width});
}
Tensor headsLast(const Tensor& x, int64_t heads) {
  const int64_t n = x.size(0) / heads, length = x.size(1), width = x.size(2);
  return x.view({n, heads, length, width}).permute({0, 2, 1, 3}).reshape({n, length, heads * width});
}
// Scores [N * h, L, M] in float32, scaled and masked.
Tensor scores(const Tensor& q, const Tensor& k, const MaybeTensor& mask, int64_t heads, bool causal) {
  Tensor s = full(productOfBatches(q, k.transpose(1, 2))).mul_(1 / std::sqrt(static_cast<double>(q.size(2))));
  if (mask) s = s.view({q.size(0) / heads, heads, s.size(1), s.size(2)}).add_(*mask).view(s.sizes());
  if (causal) s.masked_fill_(at::triu(at::ones({s.size(1), s.size(2)}, s.options().dtype(at::kBool)), 1), -std::numeric_limits<float>::infinity());
  return s;
}
// The probabilities are kept for the gradient where they are small, else their log-sum-exp [N * h, L].
constexpr int64_t keptProbabilities = int64_t{64} << 20;
// Few tokens: the loops of attention over time, each example one pixel, waste less than batches of tiny products.
bool shortEnough(const Tensor& q, const Tensor& k, const MaybeTensor& mask, bool causal) {
  return q.is_cpu() && !mask && !causal && q.size(1) == k.size(1) && q.size(1) <= 32 && q.scalar_type() == at::kFloat;
}
TemporalShape asOnePixel(const Tensor& q, int64_t heads) {
  return {q.size(0), q.size(1), 1, heads, q.size(2) / heads, q.size(1)};
}

Tensors attention(const Tensor& q, const Tensor& k, const Tensor& v, const MaybeTensor& mask, int64_t heads, bool causal) {
  if (!mask && q.is_cuda()) {
    const Tensors result = fusedAttention(forMatmul(q), forMatmul(k), forMatmul(v), heads, causal);
    if (!result.empty()) return result;
  }
  if (shortEnough(q, k, mask, causal)) {
    const Tensor k32 = full(k), v32 = full(v);
    Tensor y = at::empty_like(q), p = at::empty({q.size(0) * heads, q.size(1), q.size(1)}, q.options());
    temporalForward(asOnePixel(q, heads), data(q), data(k32), data(v32), out(y), out(p));
    return {y, p};
  }
  const Tensor s = scores(headsFirst(q, heads), headsFirst(k, heads), mask, heads, causal);
  const Tensor p = at::softmax(s, -1);
  const Tensor y = headsLast(productOfBatches(forMatmul(p), headsFirst(v, heads)), heads);
  return {y, s.numel() <= keptProbabilities ? p : at::logsumexp(s, {-1})};
}
Tensors attentionGrad(const Tensor& dyGiven, const Tensor& y, const Tensor& saved, const Tensor& qGiven, const Tensor& kGiven,
                      const Tensor& vGiven, const MaybeTensor& mask, int64_t heads, bool causal) {
  if (!mask && qGiven.is_cuda()) {
    const Tensors result = fusedAttentionGrad(dyGiven, y, saved, forMatmul(qGiven), forMatmul(kGiven), forMatmul(vGiven), heads, causal);
    if (!result.empty()) return result;
  }
  if (shortEnough(qGiven, kGiven, mask, causal)) {
    const Tensor dy32 = full(dyGiven), k32 = full(kGiven), v32 = full(vGiven);
    Tensor dq = at::empty_like(qGiven), dk = at::empty_like(k32), dv = at::empty_like(v32);
    temporalBackward(asOnePixel(qGiven, heads), data(dy32), data(saved), data(qGiven), data(k32), data(v32), out(dq), out(dk), out(dv));
    return {dq, dk, dv};
  }
  const Tensor q = headsFirst(qGiven, heads), k = headsFirst(kGiven, heads), v = headsFirst(vGiven, heads);
  const Tensor dy = headsFirst(dyGiven, heads);
  const Tensor p = saved.dim() == 3 ? saved : at::exp(at::sub(scores(q, k, mask, heads, causal), saved.unsqueeze(-1)));
  const Tensor low = forMatmul(p);
  const Tensor dv = productOfBatches(low.transpose(1, 2), dy);
  Tensor ds = full(productOfBatches(dy, v.transpose(1, 2)));
  const Tensor mean = at::sum(at::mul(full(dy), full(headsFirst(y, heads))), {-1}, true);
  ds = ds.sub_(mean).mul_(p).mul_(1 / std::sqrt(static_cast<double>(q.size(2))));
  const Tensor narrow = forMatmul(ds);
  return {headsLast(productOfBatches(narrow, k), heads), headsLast(productOfBatches(narrow.transpose(1, 2), q), heads), headsLast(dv, heads)};
}

// ---- Attention over time: q, k, v [B, T, P, h*d] ----

TemporalShape temporalShape(const Tensor& q, int64_t heads, int64_t window) {
  return {q.size(0), q.size(1), q.size(2), heads, q.size(3) / heads, window};
}
// [B * P, T, h*d] and back, for devices without loops of ours
Tensor pixelsFirst(const Tensor& x) { return x.permute({0, 2, 1, 3}).reshape({x.size(0) * x.size(2), x.size(1), x.size(3)}); }
Tensor framesFirst(const Tensor& x, const Tensor& like) {
  return x.view({like.size(0), like.size(2), like.size(1), like.size(3)}).permute({0, 2, 1, 3}).contiguous();
}
MaybeTensor windowMask(const Tensor& q, int64_t window) {
  const int64_t frames = q.size(1);
  if (window >= frames - 1) return std::nullopt;
  const Tensor i = at::arange(frames, q.options().dtype(at::kLong));
  const Tensor outside = at::gt(at::abs(at::sub(i.unsqueeze(0), i.unsqueeze(1))), window);
  return at::zeros({frames, frames}, q.options().dtype(at::kFloat)).masked_fill_(outside, -std::numeric_limits<float>::infinity());
}
Tensors temporalAttention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads, int64_t window) {
  if (byKernels(q)) {
    if (temporalAttentionByKernelsTakes(q, heads)) return {temporalAttentionByKernels(q, k, v, heads, window), at::empty({0}, q.options())};
    Tensors result = attention(pixelsFirst(q), pixelsFirst(k), pixelsFirst(v), windowMask(q, window), heads, false);
    return {framesFirst(result[0], q), result[1]};
  }
  const TemporalShape s = temporalShape(q, heads, window);
  const Tensor q32 = full(q), k32 = full(k), v32 = full(v);
  Tensor y = at::empty_like(q32), p = at::empty({s.batch, s.pixels, heads, s.frames, s.frames}, q32.options());
  temporalForward(s, data(q32), data(k32), data(v32), out(y), out(p));
  return {y.to(q.scalar_type()), p};
}
Tensors temporalAttentionGrad(const Tensor& dy, const Tensor& y, const Tensor& saved, const Tensor& q, const Tensor& k,
                              const Tensor& v, int64_t heads, int64_t window) {
  if (byKernels(q)) {
    if (temporalAttentionByKernelsTakes(q, heads)) return temporalAttentionGradByKernels(dy, q, k, v, heads, window);
    Tensors result = attentionGrad(pixelsFirst(dy), pixelsFirst(y), saved, pixelsFirst(q), pixelsFirst(k), pixelsFirst(v),
                                   windowMask(q, window), heads, false);
    for (Tensor& gradient : result) gradient = framesFirst(gradient, q);
    return result;
  }
  const TemporalShape s = temporalShape(q, heads, window);
  const Tensor dy32 = full(dy), q32 = full(q), k32 = full(k), v32 = full(v);
  Tensor dq = at::empty_like(q32), dk = at::empty_like(q32), dv = at::empty_like(q32);
  temporalBackward(s, data(dy32), data(saved), data(q32), data(k32), data(v32), out(dq), out(dk), out(dv));
  return {dq, dk, dv};
}

// ---- Activations ----

Tensor geglu(const Tensor& x) {
  const int64_t width = x.size(-1) / 2;
  if (byKernels(x)) {
    const Tensor y = gegluByKernels(x);
    if (y.defined()) return y;
  }
  if (x.is_cpu() && x.scalar_type() == at::kFloat && width > 0) {
    Ints shape = x.sizes().vec();
    shape.back() = width;
    Tensor y = at::empty(shape, x.options());
    gegluForward(y.numel() / width, width, data(x), out(y));
    return y;
  }
  return at::gelu(x.narrow(-1, width, width)).mul_(x.narrow(-1, 0, width));
}
Tensor gegluGrad(const Tensor& dy, const Tensor& x) {
  const int64_t width = x.size(-1) / 2;
  if (byKernels(x)) {
    const Tensor dx = gegluGradByKernels(dy, x);
    if (dx.defined()) return dx;
  }
  if (x.is_cpu() && x.scalar_type() == at::kFloat && width > 0) {
    const Tensor dy32 = full(dy);
    Tensor dx = at::empty_like(x);
    gegluBackward(dy.numel() / width, width, data(dy32), data(x), out(dx));
    return dx;
  }
  const Tensor value = x.narrow(-1, 0, width), gate = x.narrow(-1, width, width);
  Tensor dx = at::empty_like(x);
  Tensor dvalue = dx.narrow(-1, 0, width), dgate = dx.narrow(-1, width, width);
  at::mul_out(dvalue, dy, at::gelu(gate));
  dgate.copy_(at::gelu_backward(at::mul(dy, value), gate));
  dvalue = dgate = Tensor();  // dx alone owns its storage
  return dx;
}
// kind: 0 silu, 1 gelu (erf), 2 x * sigmoid(1.702 x)
Tensor activation(const Tensor& x, int64_t kind) {
  if (kind == 0) return at::silu(x);
  if (kind == 1) return at::gelu(x);
  return at::sigmoid(at::mul(x, 1.702)).mul_(x);
}
Tensor activationGrad(const Tensor& dy, const Tensor& x, int64_t kind) {
  if (kind == 0) return at::silu_backward(dy, x);
  if (kind == 1) return at::gelu_backward(dy, x);
  const Tensor s = at::sigmoid(at::mul(x, 1.702));
  return at::rsub(s, 1).mul_(x).mul_(1.702).add_(1).mul_(s).mul_(dy);
}

// ---- Layout and mixing ----

Tensor upsample2x(const Tensor& x) {
  const auto s = x.sizes();
  return x.view({s[0], s[1], 1, s[2], 1, s[3]})
      .expand({s[0], s[1], 2, s[2], 2, s[3]})
      .reshape({s[0], 2 * s[1], 2 * s[2], s[3]});
}
Tensor upsample2xGrad(const Tensor& dy) {
  const auto s = dy.sizes();
  const Tensor blocks = dy.view({s[0], s[1] / 2, 2, s[2] / 2, 2, s[3]});
  const Tensor top = blocks.select(2, 0), bottom = blocks.select(2, 1);  // [N, H, W, 2, C]
  return at::add(at::add(top.select(3, 0), top.select(3, 1)), at::add(bottom.select(3, 0), bottom.select(3, 1)));
}
// The share of the spatial branch, in a shape that broadcasts over [B, T, ...].
Tensor share(const Tensor& mixFactor, bool switched, int64_t rank) {
  Tensor a = at::sigmoid(switched ? at::neg(mixFactor) : mixFactor);
  if (mixFactor.dim() == 0) return a;
  Ints shape(rank - 1, 1);
  shape[0] = mixFactor.size(0);
  return a.view(shape);
}
// Sizes of the loops on the CPU: B, T (1 where one factor serves all frames) and the values that share a factor.
AlphaShape alphaShape(const Tensor& x, const Tensor& mixFactor) {
  const int64_t frames = mixFactor.numel(), groups = mixFactor.dim() == 0 ? 1 : x.size(0) * frames;
  return {groups, frames, groups == 0 ? 0 : x.numel() / groups};
}
bool byAlphaLoops(const Tensor& spatial, const Tensor& temporal) {
  return spatial.is_cpu() && spatial.scalar_type() == at::kFloat && temporal.scalar_type() == at::kFloat;
}
Tensor alphaMix(const Tensor& spatial, const Tensor& temporal, const Tensor& factorGiven, bool switched) {
  const Tensor mixFactor = full(factorGiven);
  if (byKernels(spatial)) {
    const Tensor y = alphaMixByKernels(spatial, temporal, mixFactor, switched);
    if (y.defined()) return y;
  }
  if (byAlphaLoops(spatial, temporal)) {
    const Tensor a = at::sigmoid(switched ? at::neg(mixFactor) : mixFactor);
    Tensor y = at::empty_like(spatial);
    alphaMixForward(alphaShape(spatial, mixFactor), data(spatial), data(temporal), data(a), out(y));
    return y;
  }
  const Tensor a = share(mixFactor, switched, spatial.dim());
  // Where a is 1 the other branch must not count, be it infinite.
  return at::where(at::eq(a, 1), full(spatial), at::lerp(full(temporal), full(spatial), a.expand(spatial.sizes()))).to(spatial.scalar_type());
}
Tensors alphaMixGrad(const Tensor& dy, const Tensor& spatial, const Tensor& temporal, const Tensor& factorGiven, bool switched,
                     bool ofFactor) {
  const Tensor mixFactor = full(factorGiven);
  if (byKernels(spatial)) {
    const Tensors result = alphaMixGradByKernels(dy, spatial, temporal, mixFactor, switched, ofFactor);
    if (!result.empty()) return result;
  }
  if (byAlphaLoops(spatial, temporal)) {
    const Tensor a = at::sigmoid(switched ? at::neg(mixFactor) : mixFactor), dy32 = full(dy);
    Tensor dspatial = at::empty_like(spatial), dtemporal = at::empty_like(temporal), along = at::empty_like(a);
    alphaMixBackward(alphaShape(spatial, mixFactor), data(dy32), data(spatial), data(temporal), data(a), out(dspatial),
                     out(dtemporal), ofFactor ? out(along) : nullptr);
    if (!ofFactor) return {dspatial, dtemporal};
    return {dspatial, dtemporal, at::mul(along, at::mul(at::mul(a, at::rsub(a, 1)), switched ? -1 : 1))};
  }
  const Tensor a = share(mixFactor, switched, spatial.dim());
  Tensors result{at::mul(dy, a).to(spatial.scalar_type()), at::mul(dy, at::rsub(a, 1)).to(temporal.scalar_type())};
  if (!ofFactor) return result;
  const Tensor against = at::mul(full(dy), at::sub(full(spatial), full(temporal)));
  Ints others;
  for (int64_t axis = 0; axis < dy.dim(); axis++) {
    if (mixFactor.dim() == 0 || axis != 1) others.push_back(axis);
  }
  const Tensor slope = at::mul(a, at::rsub(a, 1)).reshape(mixFactor.sizes());
  result.push_back(at::mul(at::sum(against, others), switched ? at::neg(slope) : slope));
  return result;
}
// x [N, ..., C] + embedding [N, C] (+ bias [C])
Tensor biasTimestepAdd(const Tensor& x, const Tensor& embedding, const MaybeTensor& bias) {
  Ints shape(x.dim(), 1);
  shape.front() = x.size(0);
  shape.back() = x.size(-1);
  return at::add(x, (bias ? at::add(embedding, *bias) : embedding).view(shape).to(x.scalar_type()));
}
// x [N, rows, C] -> [N, C], float32
Tensor sumOverRows(const Tensor& x) {
  if (byKernels(x)) {
    const Tensor y = columnSumsByKernels(x);
    if (y.defined()) return y;
  }
  return at::sum(x, {1}, false, at::kFloat);
}
Tensor sumBetween(const Tensor& dy) { return sumOverRows(dy.reshape({dy.size(0), -1, dy.size(-1)})); }
Tensor columnSum(const Tensor& x) { return sumOverRows(x.reshape({1, -1, x.size(-1)})).view({x.size(-1)}); }
// Bytes, four to an int32 word: byte / 127.5 - 1
Tensor framesToPixels(const Tensor& packed, const Ints& shape) {
  int64_t count = 1;
  for (int64_t extent : shape) count *= extent;
  const Tensor bytes = packed.reshape({-1}).view(at::kByte).narrow(0, 0, count);
  return bytes.to(at::kFloat).div_(127.5).sub_(1).view(shape);
}

}  // namespace

void exportFused(Exports& exports) {
  exports.insert(exports.end(), {
      bind<attention>("attention"),
      bind<attentionGrad>("attentionGrad"),
      bind<temporalAttention>("temporalAttention"),
      bind<temporalAttentionGrad>("temporalAttentionGrad"),
      bind<geglu>("geglu"),
      bind<gegluGrad>("gegluGrad"),
      bind<activation>("activation"),
      bind<activationGrad>("activationGrad"),
      bind<upsample2x>("upsample2x"),
      bind<upsample2xGrad>("upsample2xGrad"),
      bind<alphaMix>("alphaMix"),
      bind<alphaMixGrad>("alphaMixGrad"),
      bind<biasTimestepAdd>("biasTimestepAdd"),
      bind<sumBetween>("sumBetween"),
      bind<columnSum>("columnSum"),
      bind<framesToPixels>("framesToPixels"),
  });
}

}  // namespace tfjs_torch
