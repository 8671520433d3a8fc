// Gather, scatter, one-hot, segments and counting. Indices outside their range are errors that name the bound.
#include "ops.h"
#include "prepared.h"

namespace tfjs_torch {
namespace {

// The indices, known to be in range: an index kernel on CUDA that meets another stops the device for good. While a graph is
// recorded nothing can be read, and what is outside is moved to the border.
Tensor inRange(const Tensor& indices, int64_t limit, const char* what) {
  if (indices.numel() == 0) return indices;
  if (recordingGraph()) return at::clamp(indices, 0, limit - 1);
  const int64_t low = at::min(indices).item<int64_t>(), high = at::max(indices).item<int64_t>();
  TORCH_CHECK_INDEX(low >= 0 && high < limit, what, ": the index value ", low < 0 ? low : high, " is not in [0, ", limit - 1, "]");
  return indices;
}

// x [batch..., outer..., n, inner...], indices [batch..., chosen...]; axis counts from the front of x. known: that the indices are in
// range, as to look is to wait for a GPU.
Tensor gather(const Tensor& x, const Tensor& given, int64_t axis, int64_t batchDims, bool known) {
  const Tensor indices = known && !recordingGraph() ? given : inRange(given, x.size(axis), "GatherV2");
  Ints shape(x.sizes().begin(), x.sizes().begin() + axis);
  shape.insert(shape.end(), indices.sizes().begin() + batchDims, indices.sizes().end());
  shape.insert(shape.end(), x.sizes().begin() + axis + 1, x.sizes().end());
  const Tensor flat = indices.reshape({-1});
  if (batchDims == 0) return at::index_select(x, axis, flat).reshape(shape);
  int64_t batch = 1, outer = 1, inner = 1;
  for (int64_t i = 0; i < batchDims; i++) batch *= x.size(i);
  for (int64_t i = batchDims; i < axis; i++) outer *= x.size(i);
  for (int64_t i = axis + 1; i < x.dim(); i++) inner *= x.size(i);
  const Tensor source = x.reshape({batch, outer, x.size(axis), inner});
  const int64_t chosen = batch == 0 ? 0 : indices.numel() / batch;
  const Tensor index = indices.to(at::kLong).reshape({batch, 1, chosen, 1}).expand({batch, outer, chosen, inner});
  return at::gather(source, 2, index).reshape(shape);
}

// The row numbers that indices [n, depth] name in a tensor whose first axes have the given sizes.
Tensor rowNumbers(const Tensor& indices, at::IntArrayRef sizes, const char* what) {
  const int64_t depth = indices.size(-1);
  Tensor rows = at::zeros({indices.size(0)}, indices.options().dtype(at::kLong));
  for (int64_t i = 0; i < depth; i++) {
    const Tensor column = inRange(indices.select(-1, i), sizes[i], what);
    rows = at::add(at::mul(rows, sizes[i]), column);
  }
  return rows;
}
int64_t product(at::IntArrayRef sizes, int64_t from, int64_t to) {
  int64_t result = 1;
  for (int64_t i = from; i < to; i++) result *= sizes[i];
  return result;
}

Tensor gatherNd(const Tensor& x, const Tensor& indices) {
  const int64_t depth = indices.size(-1);
  Ints shape(indices.sizes().begin(), indices.sizes().end() - 1);
  shape.insert(shape.end(), x.sizes().begin() + depth, x.sizes().end());
  const Tensor rows = rowNumbers(indices.reshape({-1, depth}), x.sizes(), "gatherND");
  return at::index_select(x.reshape({product(x.sizes(), 0, depth), product(x.sizes(), depth, x.dim())}), 0, rows)
      .reshape(shape);
}

// updates [n..., slice...] put at indices [n..., depth] of a copy of base; equal indices add up where `accumulate`.
Tensor scatterNd(const Tensor& base, const Tensor& indices, const Tensor& updates, bool accumulate) {
  const int64_t depth = indices.dim() <= 1 ? 1 : indices.size(-1);
  const int64_t count = product(base.sizes(), 0, depth), width = product(base.sizes(), depth, base.dim());
  const Tensor rows = rowNumbers(indices.reshape({-1, depth}), base.sizes(), "scatter");
  Tensor result = base.clone().reshape({count, width});
  Tensor values = updates.to(base.scalar_type());
  values = values.numel() == 1 ? values.reshape({1, 1}).expand({rows.size(0), width}) : values.reshape({rows.size(0), width});
  if (accumulate) {
    result.index_add_(0, rows, values);
  } else {
    result.index_copy_(0, rows, values);
  }
  return result.reshape(base.sizes());
}

Tensor oneHot(const Tensor& indices, int64_t depth, double on, double off, Dtype dtype) {
  const Tensor classes = at::arange(depth, indices.options());
  const Tensor hit = at::eq(indices.unsqueeze(-1), classes);
  const auto options = indices.options().dtype(scalarType(dtype));
  return at::where(hit, at::full({}, on, options), at::full({}, off, options));
}

// Sums rows of x [n, ...] by their segment; rows with a negative segment are left out.
Tensor segmentSum(const Tensor& x, const Tensor& segments, int64_t count) {
  Ints shape = x.sizes().vec();
  const int64_t rank = segments.dim();
  shape.erase(shape.begin(), shape.begin() + rank);
  const Tensor ids = segments.reshape({-1}).to(at::kLong);
  if (ids.numel() > 0 && !recordingGraph()) {
    TORCH_CHECK_INDEX(at::max(ids).item<int64_t>() < count, "unsortedSegmentSum: segment ids must be below ", count);
  }
  const Tensor rows = x.reshape({ids.numel(), product(x.sizes(), rank, x.dim())});
  // One more row takes what is left out.
  Tensor sums = at::zeros({count + 1, rows.size(1)}, x.options());
  sums.index_add_(0, at::where(at::lt(ids, 0), at::full({}, count, ids.options()), at::clamp_max(ids, count)), rows);
  shape.insert(shape.begin(), count);
  return sums.narrow(0, 0, count).reshape(shape);
}

// x [n] or [rows, n]; values at or above size are not counted. Without weights each counts 1.
Tensor bincount(const Tensor& input, const Tensor& weights, int64_t size, bool binary) {
  TORCH_CHECK(recordingGraph() || input.numel() == 0 || at::min(input).item<int64_t>() >= 0, "Input x must be non-negative!");
  const Tensor x = input.to(at::kLong).reshape({input.dim() == 2 ? input.size(0) : 1, -1});
  const Tensor ones = at::ones({}, input.options().dtype(weights.scalar_type()));
  const bool weighted = weights.numel() > 0 && !binary;
  const Tensor values = weighted ? weights.reshape(x.sizes()) : ones.expand(x.sizes());
  const Tensor bins = at::clamp(x, 0, size);
  Tensor counts = at::zeros({x.size(0), size + 1}, weights.options());
  if (binary) {
    counts.scatter_(1, bins, values.contiguous());
  } else {
    counts.scatter_add_(1, bins, values.contiguous());
  }
  const Tensor result = counts.narrow(1, 0, size);
  return input.dim() == 2 ? result : result.reshape({size});
}

}  // namespace

void exportIndex(Exports& exports) {
  exports.insert(exports.end(), {
      bind<gather>("gather"),
      bind<gatherNd>("gatherNd"),
      bind<scatterNd>("scatterNd"),
      bind<oneHot>("oneHot"),
      bind<segmentSum>("segmentSum"),
      bind<bincount>("bincount"),
  });
}

}  // namespace tfjs_torch
