// Sums over rows: plans, buffers and launches of their kernels in native/device.
#include "by_kernels.h"
#include "kernel_instances.h"

#include "../device/column_sum.h"

namespace tfjs_torch {

namespace {

// Two for each multiprocessor of an H100: more leave more sums to be added up.
constexpr int64_t blocksForColumns = 264;
constexpr int64_t mostLanes = 64;

ColumnPlan planColumns(const Tensor& x, int64_t vector) {
  const int64_t n = x.size(0), rows = x.size(1), channels = x.size(2);
  const int64_t inAll = channels / vector, groups = blocksOf(inAll, mostLanes), lanes = blocksOf(inAll, groups);
  const int64_t atOnce = std::min(threadsOfBlock / lanes, rows);
  const int64_t wanted = std::min(blocksOf(rows, 4 * atOnce), blocksOf(blocksForColumns, n * groups));
  const int64_t each = blocksOf(rows, wanted);
  return {rows, each, blocksOf(rows, each), static_cast<int>(channels), static_cast<int>(groups), static_cast<int>(lanes), static_cast<int>(atOnce)};
}

}  // namespace

Tensor columnSumsByKernels(const Tensor& x) {
  if (!taken(x) || x.numel() == 0) return {};
  const int64_t vector = vectorFor(x, x.size(2));
  const ColumnPlan plan = planColumns(x, vector);
  const Tensor y = floatsLike(x, {x.size(0), x.size(2)});
  const Tensor partial = plan.chunks > 1 ? floatsLike(x, {x.size(0), plan.chunks, x.size(2)}) : y;
  withType(x, [&](auto element, const char* type) {
    using X = decltype(element);
    withVector(vector, [&](auto width) {
      constexpr int V = decltype(width)::value;
      const int threads = plan.lanes * plan.rowsAtOnce;
      launch(x.device(), named("ColumnSums", {type, std::to_string(V)}), ColumnSums<X, V>{plan, data<X>(x), data<float>(partial)},
             {x.size(0) * plan.chunks * plan.groups, threads, sizeof(float) * V * threads});
    });
  });
  if (plan.chunks > 1) columnTotals(partial, data<float>(y));
  return y;
}

void columnTotals(const Tensor& partial, float* y, float* second) {
  const int64_t chunks = partial.size(1), channels = partial.size(2);
  launch(partial.device(), "ColumnTotals", ColumnTotals{data<float>(partial), chunks, static_cast<int>(channels), y, second},
         {partial.size(0) * blocksOf(channels, 32), threadsOfBlock, sizeof(float) * threadsOfBlock});
}

}  // namespace tfjs_torch
