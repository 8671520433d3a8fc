// Batch normalisation with given statistics, and local response normalisation over channels.
#include "ops.h"

namespace tfjs_torch {
namespace {

Tensor batchNorm(const Tensor& x, const Tensor& mean, const Tensor& variance, const MaybeTensor& offset,
                 const MaybeTensor& scale, double epsilon) {
  Tensor factor = at::rsqrt(at::add(variance, epsilon));
  if (scale) factor = at::mul(factor, *scale);
  const Tensor y = at::mul(at::sub(x, mean), factor);
  return offset ? at::add(y, *offset) : y;
}

// Sums over the channels at most `radius` away.
Tensor channelWindow(const Tensor& x, int64_t radius) {
  return at::sum(at::constant_pad_nd(x, {radius, radius}).unfold(-1, 2 * radius + 1, 1), -1);
}
Tensor localResponse(const Tensor& x, int64_t radius, double bias, double alpha, double beta) {
  const Tensor norm = at::add(at::mul(channelWindow(at::mul(x, x), radius), alpha), bias);
  return at::mul(x, at::pow(norm, -beta));
}
Tensor localResponseGrad(const Tensor& x, const Tensor& y, const Tensor& dy, int64_t radius, double bias, double alpha,
                         double beta) {
  const Tensor norm = at::add(at::mul(channelWindow(at::mul(x, x), radius), alpha), bias);
  const Tensor around = channelWindow(at::div(at::mul(dy, y), norm), radius);
  return at::sub(at::mul(dy, at::pow(norm, -beta)), at::mul(at::mul(x, around), 2 * alpha * beta));
}

}  // namespace

void exportNorm(Exports& exports) {
  exports.insert(exports.end(), {
      bind<batchNorm>("batchNorm"),
      bind<localResponse>("localResponse"),
      bind<localResponseGrad>("localResponseGrad"),
  });
}

}  // namespace tfjs_torch
