// Average and maximum pooling over 2 or 3 spatial axes, channels last, their gradients, and grey-scale dilation.
#include "ops.h"

#include <limits>

namespace tfjs_torch {
namespace {

// Padding that makes the windows fit exactly, in torch's order (last axis first); negative values crop.
Ints exactPadding(at::IntArrayRef in, const Ints& kernel, const Ints& stride, const Ints& dilation, const Ints& before,
                  const Ints& out) {
  Ints pads;
  for (int64_t i = static_cast<int64_t>(in.size()) - 1; i >= 0; i--) {
    const int64_t reach = dilation[i] * (kernel[i] - 1) + 1;
    pads.push_back(before[i]);
    pads.push_back((out[i] - 1) * stride[i] + reach - in[i] - before[i]);
  }
  return pads;
}
Tensor channelsFirst(const Tensor& x) { return x.dim() == 5 ? x.permute({0, 4, 1, 2, 3}) : x.permute({0, 3, 1, 2}); }
Tensor channelsLast(const Tensor& x) { return x.dim() == 5 ? x.permute({0, 2, 3, 4, 1}) : x.permute({0, 2, 3, 1}); }
Ints spatial(const Tensor& x) { return Ints(x.sizes().begin() + 2, x.sizes().end()); }
Tensor floating(const Tensor& x) { return x.is_floating_point() ? x : x.to(at::kFloat); }
Ints negated(Ints values) {
  for (int64_t& value : values) value = -value;
  return values;
}

// How many real elements each window holds, [1, 1, out...].
Tensor windowCounts(const Tensor& x, const Ints& pads, const Ints& kernel, const Ints& stride) {
  Ints shape{1, 1};
  for (int64_t size : spatial(x)) shape.push_back(size);
  const Tensor ones = at::constant_pad_nd(at::ones(shape, x.options()), pads, 0);
  const Tensor counts = x.dim() == 5 ? at::avg_pool3d(ones, kernel, stride, 0, false, true, 1)
                                     : at::avg_pool2d(ones, kernel, stride, 0, false, true, 1);
  return at::clamp_min(counts, 1);  // a window that lies in the padding alone gives 0
}

// A window larger than the input has no place: the result has no elements.
bool empty(const Ints& out) { return std::find(out.begin(), out.end(), 0) != out.end(); }
Tensor nothing(const Tensor& x, const Ints& out) {
  Ints shape{x.size(0)};
  shape.insert(shape.end(), out.begin(), out.end());
  shape.push_back(x.size(-1));
  return at::empty(shape, x.options());
}

Tensor avgPool(const Tensor& given, const Ints& kernel, const Ints& stride, const Ints& before, const Ints& out) {
  if (empty(out)) return nothing(given, out);
  const Tensor x = channelsFirst(floating(given));
  const Ints pads = exactPadding(spatial(x), kernel, stride, Ints(kernel.size(), 1), before, out);
  const Tensor padded = at::constant_pad_nd(x, pads, 0);
  const Tensor sums = x.dim() == 5 ? at::avg_pool3d(padded, kernel, stride, 0, false, true, 1)
                                   : at::avg_pool2d(padded, kernel, stride, 0, false, true, 1);
  return channelsLast(at::div(sums, windowCounts(x, pads, kernel, stride))).to(given.scalar_type());
}
// As TensorFlow.js has it: every dy is spread over the whole window's area, padding included.
Tensor avgPoolGrad(const Tensor& dyGiven, const Tensor& given, const Ints& kernel, const Ints& stride, const Ints& before,
                   const Ints& out) {
  const Tensor x = channelsFirst(floating(given));
  const Ints pads = exactPadding(spatial(x), kernel, stride, Ints(kernel.size(), 1), before, out);
  double area = 1;
  for (int64_t size : kernel) area *= size;
  const Tensor dy = at::div(channelsFirst(dyGiven), area).contiguous();
  Ints shape = x.sizes().vec();
  for (size_t i = 0; i < pads.size(); i += 2) shape[shape.size() - 1 - i / 2] += pads[i] + pads[i + 1];
  const Tensor padded = at::empty(shape, x.options());
  const Tensor dx = x.dim() == 5 ? at::avg_pool3d_backward(dy, padded, kernel, stride, 0, false, true, 1)
                                 : at::avg_pool2d_backward(dy, padded, kernel, stride, 0, false, true, 1);
  return channelsLast(at::constant_pad_nd(dx, negated(pads), 0));
}

struct MaxPool {
  Tensor padded, values, positions;  // positions in the padded planes
  Ints pads;
};
MaxPool maxPooled(const Tensor& given, const Ints& kernel, const Ints& stride, const Ints& dilation, const Ints& before,
                  const Ints& out) {
  MaxPool pool;
  // NaN never wins, as in TensorFlow.js.
  const double infinity = std::numeric_limits<double>::infinity();
  const Tensor x = channelsFirst(at::nan_to_num(floating(given), -infinity, infinity, -infinity));
  pool.pads = exactPadding(spatial(x), kernel, stride, dilation, before, out);
  pool.padded = at::constant_pad_nd(x, pool.pads, -infinity).contiguous();
  std::tie(pool.values, pool.positions) =
      x.dim() == 5 ? at::max_pool3d_with_indices(pool.padded, kernel, stride, 0, dilation)
                   : at::max_pool2d_with_indices(pool.padded, kernel, stride, 0, dilation);
  return pool;
}
Tensor maxPool(const Tensor& x, const Ints& kernel, const Ints& stride, const Ints& dilation, const Ints& before,
               const Ints& out) {
  if (empty(out)) return nothing(x, out);
  return channelsLast(maxPooled(x, kernel, stride, dilation, before, out).values).to(x.scalar_type());
}
Tensor maxPoolGrad(const Tensor& dy, const Tensor& x, const Ints& kernel, const Ints& stride, const Ints& dilation,
                   const Ints& before, const Ints& out) {
  const MaxPool pool = maxPooled(x, kernel, stride, dilation, before, out);
  const Tensor dyFirst = channelsFirst(dy).contiguous();
  const Tensor dx =
      x.dim() == 5
          ? at::max_pool3d_with_indices_backward(dyFirst, pool.padded, kernel, stride, 0, dilation, false, pool.positions)
          : at::max_pool2d_with_indices_backward(dyFirst, pool.padded, kernel, stride, 0, dilation, false, pool.positions);
  return channelsLast(at::constant_pad_nd(dx, negated(pool.pads), 0));
}
// Positions count within one example (y, x, channel), or over the batch as well.
Tensors maxPoolWithArgmax(const Tensor& x, const Ints& kernel, const Ints& stride, const Ints& before, const Ints& out,
                          bool includeBatch) {
  const MaxPool pool = maxPooled(x, kernel, stride, Ints(2, 1), before, out);
  const int64_t width = pool.padded.size(3), channels = x.size(3);
  const Tensor row = at::sub(at::div(pool.positions, width, "floor"), before[0]);
  const Tensor column = at::sub(at::remainder(pool.positions, width), before[1]);
  const auto options = pool.positions.options();
  Tensor flat = at::add(at::mul(at::add(at::mul(row, x.size(2)), column), channels), at::arange(channels, options).view({1, channels, 1, 1}));
  if (includeBatch) {
    flat = at::add(flat, at::mul(at::arange(x.size(0), options), x.size(1) * x.size(2) * channels).view({x.size(0), 1, 1, 1}));
  }
  return {channelsLast(pool.values).to(x.scalar_type()), channelsLast(flat).to(at::kInt)};
}

// Patches [N, outH, outW, kh * kw, C] of x padded with minus infinity.
Tensor patches(const Tensor& x, const Ints& kernel, const Ints& stride, const Ints& dilation, const Ints& before, const Ints& out) {
  const Ints pads = exactPadding({x.size(1), x.size(2)}, kernel, stride, dilation, before, out);
  const Tensor padded = at::constant_pad_nd(channelsFirst(x), pads, -std::numeric_limits<double>::infinity()).contiguous();
  const auto s = padded.strides();
  return padded
      .as_strided({x.size(0), out[0], out[1], kernel[0], kernel[1], x.size(3)},
                  {s[0], s[2] * stride[0], s[3] * stride[1], s[2] * dilation[0], s[3] * dilation[1], s[1]})
      .reshape({x.size(0), out[0], out[1], kernel[0] * kernel[1], x.size(3)});
}
Tensor dilation(const Tensor& x, const Tensor& filter, const Ints& stride, const Ints& dilation, const Ints& before,
                const Ints& out) {
  const Ints kernel{filter.size(0), filter.size(1)};
  const Tensor sums = at::add(patches(x, kernel, stride, dilation, before, out), filter.reshape({-1, filter.size(2)}));
  return at::amax(sums, 3);
}
// The winners' places get dy: in the filter, or in the input.
Tensor dilationGrad(const Tensor& dy, const Tensor& x, const Tensor& filter, const Ints& stride, const Ints& dilation,
                    const Ints& before, const Ints& out, bool ofFilter) {
  const Ints kernel{filter.size(0), filter.size(1)};
  const int64_t area = kernel[0] * kernel[1], channels = x.size(3);
  const Tensor sums = at::add(patches(x, kernel, stride, dilation, before, out), filter.reshape({-1, channels}));
  const Tensor winner = at::argmax(sums, 3, /*keepdim=*/true);  // [N, outH, outW, 1, C]
  const Tensor spread = at::zeros_like(sums).scatter_(3, winner, dy.unsqueeze(3));
  if (ofFilter) return at::sum(spread, {0, 1, 2}).reshape({kernel[0], kernel[1], channels});
  const Ints pads = exactPadding({x.size(1), x.size(2)}, kernel, stride, dilation, before, out);
  const int64_t height = x.size(1) + pads[2] + pads[3], width = x.size(2) + pads[0] + pads[1];
  // col2im wants [N, C * area, outH * outW]
  const Tensor columns = spread.permute({0, 4, 3, 1, 2}).reshape({x.size(0), channels * area, out[0] * out[1]});
  const Tensor dx = at::col2im(columns, {height, width}, kernel, dilation, {0, 0}, stride);
  return channelsLast(at::constant_pad_nd(dx, negated(pads), 0));
}

}  // namespace

void exportPool(Exports& exports) {
  exports.insert(exports.end(), {
      bind<avgPool>("avgPool"),
      bind<avgPoolGrad>("avgPoolGrad"),
      bind<maxPool>("maxPool"),
      bind<maxPoolGrad>("maxPoolGrad"),
      bind<maxPoolWithArgmax>("maxPoolWithArgmax"),
      bind<dilation>("dilation"),
      bind<dilationGrad>("dilationGrad"),
  });
}

}  // namespace tfjs_torch
