// Resizing of [N, H, W, C] by TensorFlow's three conventions for where pixel centres lie; libtorch has only two of them.
#include "ops.h"

#include <cmath>
#include <map>

namespace tfjs_torch {
namespace {

// For each output position: two source positions, and the weight of the second.
struct Sampling {
  Ints low, high;
  std::vector<float> weight;
};
double scaleOf(int64_t in, int64_t out, bool alignCorners) {
  return alignCorners && out > 1 ? static_cast<double>(in - 1) / (out - 1) : static_cast<double>(in) / out;
}
Sampling bilinear(int64_t in, int64_t out, bool alignCorners, bool halfPixel) {
  Sampling sampling;
  const double scale = scaleOf(in, out, alignCorners);
  for (int64_t i = 0; i < out; i++) {
    const double source = halfPixel ? scale * (i + 0.5) - 0.5 : scale * i;
    const double below = std::max(0.0, std::floor(source));
    sampling.low.push_back(static_cast<int64_t>(below));
    sampling.high.push_back(std::min(in - 1, static_cast<int64_t>(std::ceil(source))));
    sampling.weight.push_back(static_cast<float>(source - below));
  }
  return sampling;
}
Ints nearest(int64_t in, int64_t out, bool alignCorners, bool halfPixel) {
  Ints result;
  const double scale = scaleOf(in, out, alignCorners);
  for (int64_t i = 0; i < out; i++) {
    const double source = halfPixel ? scale * (i + 0.5) : scale * i;
    const double chosen = alignCorners ? std::round(source) : std::floor(source);
    result.push_back(std::max<int64_t>(0, std::min(in - 1, static_cast<int64_t>(chosen))));
  }
  return result;
}
// Values on the device of `like`. There they are kept: to bring them there is to wait, and a graph may go on reading them.
template <class T>
Tensor onDevice(const std::vector<T>& values, const Tensor& like) {
  const auto type = std::is_same_v<T, float> ? at::kFloat : at::kLong;
  if (like.device().is_cpu()) return at::tensor(values, at::TensorOptions().dtype(type));
  thread_local std::map<std::vector<T>, Tensor> kept;
  Tensor& there = kept[values];
  if (!there.defined()) there = at::tensor(values, at::TensorOptions().dtype(type)).to(like.device());
  return there;
}
Tensor weightsOf(const Sampling& sampling, const Tensor& like, int64_t axis) {
  Ints shape(4, 1);
  shape[axis] = static_cast<int64_t>(sampling.weight.size());
  return onDevice(sampling.weight, like).view(shape);
}
Tensor floating(const Tensor& x) { return x.is_floating_point() ? x : x.to(at::kFloat); }

Tensor interpolate(const Tensor& x, const Sampling& sampling, int64_t axis) {
  const Tensor low = at::index_select(x, axis, onDevice(sampling.low, x));
  const Tensor high = at::index_select(x, axis, onDevice(sampling.high, x));
  return at::add(low, at::mul(at::sub(high, low), weightsOf(sampling, x, axis)));
}
Tensor interpolateGrad(const Tensor& dy, const Sampling& sampling, int64_t axis, int64_t size) {
  Ints shape = dy.sizes().vec();
  shape[axis] = size;
  const Tensor toHigh = at::mul(dy, weightsOf(sampling, dy, axis));
  Tensor dx = at::zeros(shape, dy.options());
  dx.index_add_(axis, onDevice(sampling.low, dy), at::sub(dy, toHigh));
  dx.index_add_(axis, onDevice(sampling.high, dy), toHigh);
  return dx;
}

Tensor resizeBilinear(const Tensor& x, int64_t height, int64_t width, bool alignCorners, bool halfPixel) {
  const Tensor rows = interpolate(floating(x), bilinear(x.size(1), height, alignCorners, halfPixel), 1);
  return interpolate(rows, bilinear(x.size(2), width, alignCorners, halfPixel), 2);
}
Tensor resizeBilinearGrad(const Tensor& dy, int64_t height, int64_t width, bool alignCorners) {
  const Tensor rows = interpolateGrad(dy, bilinear(height, dy.size(1), alignCorners, false), 1, height);
  return interpolateGrad(rows, bilinear(width, dy.size(2), alignCorners, false), 2, width);
}
Tensor resizeNearest(const Tensor& x, int64_t height, int64_t width, bool alignCorners, bool halfPixel) {
  const Tensor rows = at::index_select(x, 1, onDevice(nearest(x.size(1), height, alignCorners, halfPixel), x));
  return at::index_select(rows, 2, onDevice(nearest(x.size(2), width, alignCorners, halfPixel), x));
}
Tensor resizeNearestGrad(const Tensor& dy, int64_t height, int64_t width, bool alignCorners) {
  Tensor rows = at::zeros({dy.size(0), height, dy.size(2), dy.size(3)}, dy.options());
  rows.index_add_(1, onDevice(nearest(height, dy.size(1), alignCorners, false), dy), dy);
  Tensor dx = at::zeros({dy.size(0), height, width, dy.size(3)}, dy.options());
  dx.index_add_(2, onDevice(nearest(width, dy.size(2), alignCorners, false), dy), rows);
  return dx;
}

}  // namespace

void exportImage(Exports& exports) {
  exports.insert(exports.end(), {
      bind<resizeBilinear>("resizeBilinear"),
      bind<resizeBilinearGrad>("resizeBilinearGrad"),
      bind<resizeNearest>("resizeNearest"),
      bind<resizeNearestGrad>("resizeNearestGrad"),
  });
}

}  // namespace tfjs_torch
