// Convolutions of 2 and 3 spatial axes, grouped or not, and their gradients. Data is channels last as TensorFlow.js
// has it, read by libtorch as channels_last memory without a copy; filters are [spatial..., in / groups, out].
#include "activation.h"
#include "precision.h"
#include "prepared.h"

namespace tfjs_torch {
namespace {

// Where the window lies: `before` is the padding in front, `out` the size of the result; both per spatial axis.
struct Window {
  const Ints& kernel;
  const Ints& stride;
  const Ints& dilation;
  const Ints& before;
  const Ints& out;
};

struct Padding {
  Ints symmetric;    // what libtorch's convolution pads
  Ints extra;        // what is padded (or cropped, if negative) beforehand, in torch's order: last axis first
  bool needsExtra = false;
};

Padding paddingOf(const Window& window, at::IntArrayRef in) {
  Padding padding;
  const int64_t n = in.size();
  padding.symmetric.assign(window.before.begin(), window.before.end());
  for (int64_t i = 0; i < n; i++) {
    const int64_t reach = window.dilation[i] * (window.kernel[i] - 1) + 1, room = in[i] + 2 * window.before[i] - reach;
    if (window.before[i] < 0 || room < 0 || room / window.stride[i] + 1 != window.out[i]) padding.needsExtra = true;
  }
  if (!padding.needsExtra) return padding;
  padding.symmetric.assign(n, 0);
  for (int64_t i = n - 1; i >= 0; i--) {
    const int64_t reach = window.dilation[i] * (window.kernel[i] - 1) + 1;
    padding.extra.push_back(window.before[i]);
    padding.extra.push_back((window.out[i] - 1) * window.stride[i] + reach - in[i] - window.before[i]);
  }
  return padding;
}

Ints channelsFirstOrder(int64_t rank) {
  Ints order{0, rank - 1};
  for (int64_t i = 1; i < rank - 1; i++) order.push_back(i);
  return order;
}
Ints channelsLastOrder(int64_t rank) {
  Ints order{0};
  for (int64_t i = 2; i < rank; i++) order.push_back(i);
  order.push_back(1);
  return order;
}
Tensor channelsFirst(const Tensor& x, bool channelsLast) { return channelsLast ? x.permute(channelsFirstOrder(x.dim())) : x; }
Tensor asGiven(const Tensor& x, bool channelsLast) { return channelsLast ? x.permute(channelsLastOrder(x.dim())) : x; }
at::MemoryFormat formatOf(const Tensor& x, bool channelsLast) {
  if (!channelsLast) return at::MemoryFormat::Contiguous;
  return x.dim() == 5 ? at::MemoryFormat::ChannelsLast3d : at::MemoryFormat::ChannelsLast;
}

// [spatial..., in / groups, out] -> [out, in / groups, spatial...]
Tensor filterToTorch(const Tensor& filter) {
  const int64_t rank = filter.dim();
  Ints order{rank - 1, rank - 2};
  for (int64_t i = 0; i < rank - 2; i++) order.push_back(i);
  return filter.permute(order);
}
Tensor filterFromTorch(const Tensor& filter) {
  Ints order;
  for (int64_t i = 2; i < filter.dim(); i++) order.push_back(i);
  order.push_back(1);
  order.push_back(0);
  return filter.permute(order);
}
// Depthwise filters are [h, w, in, multiplier] -> [in * multiplier, 1, h, w]
Tensor depthwiseToTorch(const Tensor& filter) {
  return filter.permute({2, 3, 0, 1}).reshape({filter.size(2) * filter.size(3), 1, filter.size(0), filter.size(1)});
}
Ints spatial(at::IntArrayRef sizes) { return Ints(sizes.begin() + 2, sizes.end()); }

Tensor forward(const Tensor& x, const Tensor& weight, const MaybeTensor& bias, const Ints& stride, const Ints& dilation,
               const Ints& before, const Ints& out, bool channelsLast, int64_t groups) {
  Tensor input = channelsFirst(forMatmul(x), channelsLast);
  const Ints kernel = spatial(weight.sizes());
  const Padding padding = paddingOf({kernel, stride, dilation, before, out}, spatial(input.sizes()));
  if (padding.needsExtra) input = at::constant_pad_nd(input, padding.extra, 0);
  input = input.contiguous(formatOf(input, channelsLast));
  const Tensor filter = prepared(weight, typeForMatmul(weight), formatOf(input, channelsLast));
  c10::optional<Tensor> offset;
  const bool perChannel = bias && bias->dim() == 1 && bias->size(0) == filter.size(0);
  if (perChannel) offset = prepared(*bias, filter.scalar_type(), at::MemoryFormat::Contiguous);
  const Ints zeros(stride.size(), 0);
  const Tensor y = at::convolution(input, filter, offset, stride, padding.symmetric, dilation, false, zeros, groups);
  const Tensor result = asGiven(y, channelsLast);
  return bias && !perChannel ? at::add(result, bias->to(result.scalar_type())) : result;
}

Tensor conv(const Tensor& x, const Tensor& filter, const Ints& stride, const Ints& dilation, const Ints& before,
            const Ints& out, bool channelsLast) {
  const int64_t channels = channelsLast ? x.size(-1) : x.size(1), groups = channels / filter.size(-2);
  return forward(x, filterToTorch(filter), std::nullopt, stride, dilation, before, out, channelsLast, groups);
}
Tensor fusedConv(const Tensor& x, const Tensor& filter, const MaybeTensor& bias, const Ints& stride, const Ints& dilation,
                 const Ints& before, const Ints& out, bool channelsLast, int64_t activation, const MaybeTensor& prelu,
                 double leakyAlpha) {
  const int64_t channels = channelsLast ? x.size(-1) : x.size(1), groups = channels / filter.size(-2);
  const Tensor y = forward(x, filterToTorch(filter), bias, stride, dilation, before, out, channelsLast, groups);
  return activate(y, {activation, prelu, leakyAlpha});
}
Tensor depthwiseConv(const Tensor& x, const Tensor& filter, const MaybeTensor& bias, const Ints& stride,
                     const Ints& dilation, const Ints& before, const Ints& out, bool channelsLast, int64_t activation,
                     const MaybeTensor& prelu, double leakyAlpha) {
  const Tensor y = forward(x, depthwiseToTorch(filter), bias, stride, dilation, before, out, channelsLast, filter.size(2));
  return activate(y, {activation, prelu, leakyAlpha});
}

// Runs libtorch's convolution_backward for one of its two products.
Tensor backward(const Tensor& dy, const Tensor& input, const Tensor& weight, const Padding& padding, const Ints& stride,
                const Ints& dilation, int64_t groups, bool wantInput) {
  const Ints zeros(stride.size(), 0);
  const auto grads = at::convolution_backward(dy, input, weight, c10::nullopt, stride, padding.symmetric, dilation, false,
                                              zeros, groups, {wantInput, !wantInput, false});
  return wantInput ? std::get<0>(grads) : std::get<1>(grads);
}
Ints padded(at::IntArrayRef sizes, const Padding& padding) {
  Ints result = sizes.vec();
  for (size_t i = 0; i < padding.extra.size(); i += 2) result[result.size() - 1 - i / 2] += padding.extra[i] + padding.extra[i + 1];
  return result;
}
Ints negated(const Ints& values) {
  Ints result(values);
  for (int64_t& value : result) value = -value;
  return result;
}

Tensor inputGradient(const Tensor& dyGiven, const Tensor& weight, const Ints& shape, const Ints& stride,
                     const Ints& dilation, const Ints& before, bool channelsLast, int64_t groups) {
  Tensor dy = channelsFirst(forMatmul(dyGiven), channelsLast);
  dy = dy.contiguous(formatOf(dy, channelsLast));
  Ints inputShape(shape);
  if (channelsLast) {
    inputShape.insert(inputShape.begin() + 1, shape.back());
    inputShape.pop_back();
  }
  const Ints kernel = spatial(weight.sizes()), out = spatial(dy.sizes());
  const Padding padding = paddingOf({kernel, stride, dilation, before, out}, spatial(inputShape));
  const Tensor filter = prepared(weight, typeForMatmul(weight), formatOf(dy, channelsLast));
  // Only the shape and layout of the input are read.
  const Tensor input = at::empty(padded(inputShape, padding), filter.options(), formatOf(dy, channelsLast));
  Tensor dx = backward(dy, input, filter, padding, stride, dilation, groups, true);
  if (padding.needsExtra) dx = at::constant_pad_nd(dx, negated(padding.extra), 0);
  return asGiven(dx, channelsLast);
}
Tensor filterGradient(const Tensor& x, const Tensor& dyGiven, const Ints& weightShape, const Ints& stride,
                      const Ints& dilation, const Ints& before, bool channelsLast, int64_t groups) {
  Tensor dy = channelsFirst(forMatmul(dyGiven), channelsLast);
  Tensor input = channelsFirst(forMatmul(x), channelsLast);
  const Ints kernel = spatial(weightShape), out = spatial(dy.sizes());
  const Padding padding = paddingOf({kernel, stride, dilation, before, out}, spatial(input.sizes()));
  if (padding.needsExtra) input = at::constant_pad_nd(input, padding.extra, 0);
  const auto format = formatOf(dy, channelsLast);
  input = input.contiguous(format);
  dy = dy.contiguous(format);
  const Tensor filter = at::empty(weightShape, input.options(), format);
  return backward(dy, input, filter, padding, stride, dilation, groups, false);
}

// For a filter that is only read from now on: in memory as convolutions of channels-last data read it, of which no copy is kept.
double frozenFilter(Call& call, const Tensor& filter) {
  const auto format = filter.dim() == 5 ? at::MemoryFormat::ChannelsLast3d : at::MemoryFormat::ChannelsLast;
  const Tensor weight = filterToTorch(filter).to(typeForMatmul(filter), /*non_blocking=*/false, /*copy=*/true, format);
  return call.state.table.add(filterFromTorch(weight));
}

// A dy larger than `out` (TensorFlow.js lets conv2dTranspose pass one) is read in front only.
Tensor convInputGrad(const Tensor& dyGiven, const Tensor& filter, const Ints& inputShape, const Ints& stride,
                     const Ints& dilation, const Ints& before, const Ints& out, bool channelsLast) {
  Tensor dy = dyGiven;
  for (size_t i = 0; i < out.size(); i++) {
    const int64_t axis = channelsLast ? i + 1 : i + 2;
    if (dy.size(axis) > out[i]) dy = dy.narrow(axis, 0, out[i]);
  }
  const int64_t channels = channelsLast ? inputShape.back() : inputShape[1], groups = channels / filter.size(-2);
  return inputGradient(dy, filterToTorch(filter), inputShape, stride, dilation, before, channelsLast, groups);
}
// Filter gradients are weights' gradients: float32 whatever the policy. The layout changes in the same pass.
Tensor asWeightGradient(const Tensor& grad) {
  return grad.to(at::kFloat, /*non_blocking=*/false, /*copy=*/false, at::MemoryFormat::Contiguous);
}
Tensor convFilterGrad(const Tensor& x, const Tensor& dy, const Ints& filterShape, const Ints& stride,
                      const Ints& dilation, const Ints& before, bool channelsLast) {
  const int64_t rank = filterShape.size(), channels = channelsLast ? x.size(-1) : x.size(1);
  Ints shape{filterShape[rank - 1], filterShape[rank - 2]};
  shape.insert(shape.end(), filterShape.begin(), filterShape.end() - 2);
  return asWeightGradient(filterFromTorch(
      filterGradient(x, dy, shape, stride, dilation, before, channelsLast, channels / filterShape[rank - 2])));
}
Tensor depthwiseInputGrad(const Tensor& dy, const Tensor& filter, const Ints& inputShape, const Ints& stride,
                          const Ints& dilation, const Ints& before) {
  return inputGradient(dy, depthwiseToTorch(filter), inputShape, stride, dilation, before, true, filter.size(2));
}
Tensor depthwiseFilterGrad(const Tensor& x, const Tensor& dy, const Ints& filterShape, const Ints& stride,
                           const Ints& dilation, const Ints& before) {
  const Ints shape{filterShape[2] * filterShape[3], 1, filterShape[0], filterShape[1]};
  const Tensor grad = filterGradient(x, dy, shape, stride, dilation, before, true, filterShape[2]);
  return asWeightGradient(grad.reshape({filterShape[2], filterShape[3], filterShape[0], filterShape[1]}).permute({2, 3, 0, 1}));
}

}  // namespace

void exportConv(Exports& exports) {
  exports.insert(exports.end(), {
      bind<conv>("conv"),
      bind<fusedConv>("fusedConv"),
      bind<depthwiseConv>("depthwiseConv"),
      bind<convInputGrad>("convInputGrad"),
      bind<convFilterGrad>("convFilterGrad"),
      bind<frozenFilter>("frozenFilter"),
      bind<depthwiseInputGrad>("depthwiseInputGrad"),
      bind<depthwiseFilterGrad>("depthwiseFilterGrad"),
  });
}

}  // namespace tfjs_torch
