// Creation and rearrangement: fill, slice, concat, pad, transpose, tile, blocks and depth.
#include "ops.h"

namespace tfjs_torch {
namespace {

Tensor fill(Call& call, const Ints& shape, double value, Dtype dtype) {
  const auto options = at::TensorOptions().dtype(scalarType(dtype)).device(call.state.device);
  if (dtype == Dtype::boolean) return at::full(shape, value != 0, options);
  return at::full(shape, value, options);
}
// start + step * i, each computed in double precision and rounded once.
Tensor progression(Call& call, double start, double step, int64_t count, Dtype dtype) {
  const auto options = at::TensorOptions().dtype(at::kDouble).device(call.state.device);
  Tensor values = at::arange(count, options).mul_(step).add_(start);
  return values.to(scalarType(dtype));
}
Tensor slice(const Tensor& x, const Ints& begin, const Ints& size) {
  Tensor result = x;
  for (size_t axis = 0; axis < begin.size(); axis++) {
    if (begin[axis] != 0 || size[axis] != x.size(axis)) result = result.narrow(axis, begin[axis], size[axis]);
  }
  return result;
}
// Strides may be negative; the bounds are already clamped, and sizes say how many elements each axis keeps.
void checkLengths(int64_t rank, std::initializer_list<const Ints*> lists) {
  for (const Ints* list : lists) {
    TORCH_CHECK(static_cast<int64_t>(list->size()) == rank, "expected ", rank, " numbers, one per axis, got ", list->size());
  }
}
Tensor stridedSlice(const Tensor& x, const Ints& begin, const Ints& strides, const Ints& sizes) {
  checkLengths(x.dim(), {&begin, &strides, &sizes});
  Tensor result = x;
  for (size_t axis = 0; axis < begin.size(); axis++) {
    if (sizes[axis] == 0) {
      result = result.narrow(axis, 0, 0);
    } else if (strides[axis] > 0) {
      const int64_t end = begin[axis] + (sizes[axis] - 1) * strides[axis] + 1;
      result = at::slice(result, axis, begin[axis], end, strides[axis]);
    } else {
      const int64_t last = begin[axis] + (sizes[axis] - 1) * strides[axis];
      result = at::flip(at::slice(result, axis, last, begin[axis] + 1, -strides[axis]), {static_cast<int64_t>(axis)});
    }
  }
  return result;
}
// The gradient of stridedSlice: dy at the places that were read, zero elsewhere.
Tensor stridedSliceGrad(const Tensor& dy, const Ints& shape, const Ints& begin, const Ints& strides, const Ints& sizes) {
  checkLengths(dy.dim(), {&shape, &begin, &strides, &sizes});
  Tensor dx = at::zeros(shape, dy.options());
  Tensor target = dx, source = dy;
  for (size_t axis = 0; axis < begin.size(); axis++) {
    if (sizes[axis] == 0) return dx;
    const int64_t last = begin[axis] + (sizes[axis] - 1) * strides[axis];
    if (strides[axis] > 0) {
      target = at::slice(target, axis, begin[axis], last + 1, strides[axis]);
    } else {
      target = at::slice(target, axis, last, begin[axis] + 1, -strides[axis]);
      source = at::flip(source, {static_cast<int64_t>(axis)});
    }
  }
  target.copy_(source);
  target = Tensor();
  return dx;
}
Tensor concat(const Tensors& xs, int64_t axis) { return at::cat(xs, axis); }
Tensors split(const Tensor& x, const Ints& sizes, int64_t axis) { return at::split_with_sizes(x, sizes, axis); }
Tensor stack(const Tensors& xs, int64_t axis) { return at::stack(xs, axis); }
Tensors unstack(const Tensor& x, int64_t axis) { return at::unbind(x, axis); }
// pads: before and after, from the first axis on.
Tensor pad(const Tensor& x, const Ints& pads, double value) {
  TORCH_CHECK(static_cast<int64_t>(pads.size()) == 2 * x.dim(), "pad wants two numbers per axis");
  Ints reversed;  // torch counts from the last axis
  for (int64_t axis = x.dim() - 1; axis >= 0; axis--) {
    reversed.push_back(pads[2 * axis]);
    reversed.push_back(pads[2 * axis + 1]);
  }
  return at::constant_pad_nd(x, reversed, value);
}
Tensor mirrorPad(const Tensor& x, const Ints& pads, bool symmetric) {
  TORCH_CHECK(static_cast<int64_t>(pads.size()) == 2 * x.dim(), "mirrorPad wants two numbers per axis");
  Tensor result = x;
  const int64_t skip = symmetric ? 0 : 1;
  for (int64_t axis = 0; axis < x.dim(); axis++) {
    const int64_t before = pads[2 * axis], after = pads[2 * axis + 1], size = x.size(axis);
    Tensors parts;
    if (before > 0) parts.push_back(at::flip(result.narrow(axis, skip, before), {axis}));
    parts.push_back(result);
    if (after > 0) parts.push_back(at::flip(result.narrow(axis, size - skip - after, after), {axis}));
    if (parts.size() > 1) result = at::cat(parts, axis);
  }
  return result;
}
Tensor transpose(const Tensor& x, const Ints& order) { return x.permute(order); }
Tensor reverse(const Tensor& x, const Ints& axes) { return axes.empty() ? x.clone() : at::flip(x, axes); }
Tensor tile(const Tensor& x, const Ints& repeats) { return x.repeat(repeats); }
Tensor broadcastTo(const Tensor& x, const Ints& shape) { return x.expand(shape); }
Tensor diag(const Tensor& x) {
  Ints shape = x.sizes().vec();
  shape.insert(shape.end(), x.sizes().begin(), x.sizes().end());
  return at::diag_embed(x.reshape({-1})).reshape(shape);
}

// [N, H*b, W*b, C] from [N, H, W, b*b*C], or the same with channels first.
Tensor depthToSpace(const Tensor& x, int64_t block, bool channelsLast) {
  const auto s = x.sizes();
  if (channelsLast) {
    const int64_t depth = s[3] / (block * block);
    return x.reshape({s[0], s[1], s[2], block, block, depth})
        .permute({0, 1, 3, 2, 4, 5})
        .reshape({s[0], s[1] * block, s[2] * block, depth});
  }
  const int64_t depth = s[1] / (block * block);
  return x.reshape({s[0], block, block, depth, s[2], s[3]})
      .permute({0, 3, 4, 1, 5, 2})
      .reshape({s[0], depth, s[2] * block, s[3] * block});
}
Tensor spaceToDepth(const Tensor& x, int64_t block, bool channelsLast) {
  const auto s = x.sizes();
  if (channelsLast) {
    return x.reshape({s[0], s[1] / block, block, s[2] / block, block, s[3]})
        .permute({0, 1, 3, 2, 4, 5})
        .reshape({s[0], s[1] / block, s[2] / block, block * block * s[3]});
  }
  return x.reshape({s[0], s[1], s[2] / block, block, s[3] / block, block})
      .permute({0, 3, 5, 1, 2, 4})
      .reshape({s[0], block * block * s[1], s[2] / block, s[3] / block});
}

// blocks: the block size of axes 1, 2, ...; crops: before and after, for each of them.
Tensor batchToSpace(const Tensor& x, const Ints& blocks, const Ints& crops) {
  const int64_t m = blocks.size();
  int64_t product = 1;
  for (int64_t block : blocks) product *= block;
  Ints split(blocks), order, joined{x.size(0) / product};
  split.push_back(x.size(0) / product);
  for (int64_t i = 1; i < x.dim(); i++) split.push_back(x.size(i));
  order.push_back(m);
  for (int64_t i = 0; i < m; i++) {
    order.push_back(m + 1 + i);
    order.push_back(i);
    joined.push_back(x.size(1 + i) * blocks[i]);
  }
  for (int64_t i = 1 + m; i < x.dim(); i++) {
    order.push_back(m + i);
    joined.push_back(x.size(i));
  }
  Tensor result = x.reshape(split).permute(order).reshape(joined);
  for (int64_t i = 0; i < m; i++) {
    result = result.narrow(1 + i, crops[2 * i], joined[1 + i] - crops[2 * i] - crops[2 * i + 1]);
  }
  return result;
}
Tensor spaceToBatch(const Tensor& input, const Ints& blocks, const Ints& pads) {
  const int64_t m = blocks.size();
  Ints all(2 * input.dim(), 0);
  std::copy(pads.begin(), pads.end(), all.begin() + 2);
  const Tensor x = pad(input, all, 0);
  Ints split{x.size(0)}, order, joined{x.size(0)};
  for (int64_t i = 0; i < m; i++) {
    split.push_back(x.size(1 + i) / blocks[i]);
    split.push_back(blocks[i]);
    order.push_back(2 + 2 * i);
    joined[0] *= blocks[i];
  }
  order.push_back(0);
  for (int64_t i = 0; i < m; i++) {
    order.push_back(1 + 2 * i);
    joined.push_back(x.size(1 + i) / blocks[i]);
  }
  for (int64_t i = 1 + m; i < x.dim(); i++) {
    split.push_back(x.size(i));
    order.push_back(m + i);
    joined.push_back(x.size(i));
  }
  return x.reshape(split).permute(order).reshape(joined);
}

// The shape to which two shapes, given as int32 vectors, broadcast.
Tensor broadcastArgs(const Tensor& a, const Tensor& b) {
  const int64_t rank = std::max(a.numel(), b.numel());
  const auto ones = at::ones({rank}, a.options());
  const Tensor left = at::cat({ones.narrow(0, 0, rank - a.numel()), a}), right = at::cat({ones.narrow(0, 0, rank - b.numel()), b});
  const bool fits = at::all(at::logical_or(at::eq(left, right), at::logical_or(at::eq(left, 1), at::eq(right, 1)))).item<bool>();
  TORCH_CHECK(fits, "the shapes cannot be broadcast together");
  return at::where(at::eq(left, 1), right, left);
}

}  // namespace

void exportShape(Exports& exports) {
  exports.insert(exports.end(), {
      bind<fill>("fill"),
      bind<progression>("progression"),
      bind<slice>("slice"),
      bind<stridedSlice>("stridedSlice"),
      bind<stridedSliceGrad>("stridedSliceGrad"),
      bind<concat>("concat"),
      bind<split>("split"),
      bind<stack>("stack"),
      bind<unstack>("unstack"),
      bind<pad>("pad"),
      bind<mirrorPad>("mirrorPad"),
      bind<transpose>("transpose"),
      bind<reverse>("reverse"),
      bind<tile>("tile"),
      bind<broadcastTo>("broadcastTo"),
      bind<diag>("diag"),
      bind<depthToSpace>("depthToSpace"),
      bind<spaceToDepth>("spaceToDepth"),
      bind<batchToSpace>("batchToSpace"),
      bind<spaceToBatch>("spaceToBatch"),
      bind<broadcastArgs>("broadcastArgs"),
  });
}

}  // namespace tfjs_torch
