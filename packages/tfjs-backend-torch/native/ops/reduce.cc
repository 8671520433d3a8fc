// Reductions over given axes, cumulative sums and products, arg-reductions, sorting.
#include "ops.h"

#include <limits>

namespace tfjs_torch {
namespace {

// [outer..., reduced]: the reduced axes last and joined into one.
Tensor reducedLast(const Tensor& x, const Ints& axes) {
  Ints order, shape;
  int64_t joined = 1;
  for (int64_t i = 0; i < x.dim(); i++) {
    if (std::find(axes.begin(), axes.end(), i) == axes.end()) {
      order.push_back(i);
      shape.push_back(x.size(i));
    } else {
      joined *= x.size(i);
    }
  }
  order.insert(order.end(), axes.begin(), axes.end());
  shape.push_back(joined);
  return x.permute(order).reshape(shape);
}

Tensor number(const Tensor& x) { return x.scalar_type() == at::kBool ? x.to(at::kInt) : x; }

Tensor sum(const Tensor& x, const Ints& axes) {
  if (axes.empty()) return number(x).clone();
  return at::sum(x, axes, false, at::isIntegralType(x.scalar_type(), true) ? at::kInt : x.scalar_type());
}
Tensor mean(const Tensor& x, const Ints& axes) {
  if (axes.empty()) return x.to(at::kFloat, false, true);
  return at::mean(x.is_floating_point() ? x : x.to(at::kFloat), axes, false);
}
Tensor prod(const Tensor& x, const Ints& axes) {
  return at::prod(reducedLast(number(x), axes), -1, false, number(x).scalar_type());
}
Tensor extreme(const Tensor& x, const Ints& axes, bool largest) {
  if (axes.empty()) return x.clone();
  const Tensor rows = reducedLast(number(x), axes);
  if (rows.size(-1) == 0) {  // nothing to compare: the neutral element
    Ints shape(rows.sizes().begin(), rows.sizes().end() - 1);
    const double infinity = std::numeric_limits<double>::infinity();
    if (rows.is_floating_point()) return at::full(shape, largest ? -infinity : infinity, rows.options());
    return at::full(shape, largest ? std::numeric_limits<int>::min() : std::numeric_limits<int>::max(), rows.options());
  }
  const Tensor result = largest ? at::amax(rows, -1) : at::amin(rows, -1);
  return result.to(x.scalar_type());
}
Tensor max(const Tensor& x, const Ints& axes) { return extreme(x, axes, true); }
Tensor min(const Tensor& x, const Ints& axes) { return extreme(x, axes, false); }
Tensor all(const Tensor& x, const Ints& axes) { return axes.empty() ? at::ne(x, 0) : at::all(reducedLast(x, axes).to(at::kBool), -1); }
Tensor any(const Tensor& x, const Ints& axes) { return axes.empty() ? at::ne(x, 0) : at::any(reducedLast(x, axes).to(at::kBool), -1); }

// NaN never wins, as in TensorFlow.js; torch would return its position.
Tensor argExtreme(const Tensor& x, int64_t axis, bool largest) {
  Tensor values = number(x);
  if (values.is_floating_point()) {
    const double infinity = std::numeric_limits<double>::infinity();
    values = at::nan_to_num(values, largest ? -infinity : infinity, infinity, -infinity);
  }
  return (largest ? at::argmax(values, axis) : at::argmin(values, axis)).to(at::kInt);
}
Tensor argMax(const Tensor& x, int64_t axis) { return argExtreme(x, axis, true); }
Tensor argMin(const Tensor& x, int64_t axis) { return argExtreme(x, axis, false); }

// exclusive: element i holds the result of the elements before it.
Tensor cumulative(const Tensor& input, int64_t axis, bool exclusive, bool reverse, bool product) {
  Tensor x = number(input);
  if (x.dim() == 0) return exclusive ? at::full_like(x, product ? 1 : 0) : x.clone();
  if (reverse) x = at::flip(x, {axis});
  if (exclusive && x.size(axis) > 0) {
    Ints shape = x.sizes().vec();
    shape[axis] = 1;
    x = at::cat({at::full(shape, product ? 1 : 0, x.options()), x.narrow(axis, 0, x.size(axis) - 1)}, axis);
  }
  Tensor result = product ? at::cumprod(x, axis, x.scalar_type()) : at::cumsum(x, axis, x.scalar_type());
  return reverse ? at::flip(result, {axis}) : result;
}
Tensor cumsum(const Tensor& x, int64_t axis, bool exclusive, bool reverse) {
  return cumulative(x, axis, exclusive, reverse, false);
}
Tensor cumprod(const Tensor& x, int64_t axis, bool exclusive, bool reverse) {
  return cumulative(x, axis, exclusive, reverse, true);
}

// Largest first, and of equal values the one with the lower index first.
Tensors topK(const Tensor& x, int64_t k) {
  const auto sorted = at::sort(number(x), /*stable=*/c10::optional<bool>(true), -1, /*descending=*/true);
  return {std::get<0>(sorted).narrow(-1, 0, k).to(x.scalar_type()), std::get<1>(sorted).narrow(-1, 0, k).to(at::kInt)};
}

Tensor softmax(const Tensor& x, int64_t axis) { return at::softmax(x.is_floating_point() ? x : x.to(at::kFloat), axis); }
Tensor logSoftmax(const Tensor& x, int64_t axis) {
  return at::log_softmax(x.is_floating_point() ? x : x.to(at::kFloat), axis);
}

}  // namespace

void exportReduce(Exports& exports) {
  exports.insert(exports.end(), {
      bind<sum>("sum"),
      bind<mean>("mean"),
      bind<prod>("prod"),
      bind<max>("max"),
      bind<min>("min"),
      bind<all>("all"),
      bind<any>("any"),
      bind<argMax>("argMax"),
      bind<argMin>("argMin"),
      bind<cumsum>("cumsum"),
      bind<cumprod>("cumprod"),
      bind<topK>("topK"),
      bind<softmax>("softmax"),
      bind<logSoftmax>("logSoftmax"),
  });
}

}  // namespace tfjs_torch
