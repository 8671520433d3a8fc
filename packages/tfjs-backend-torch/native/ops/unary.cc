// Elementwise functions of one tensor. A function keeps its input's type, as TensorFlow.js expects: on int32 the
// result is computed in float32 and truncated.
#include "ops.h"

namespace tfjs_torch {
namespace {

using Function = Tensor (*)(const Tensor&);

template <Function F>
Tensor keepType(const Tensor& x) {
  if (at::isFloatingType(x.scalar_type()) || at::isComplexType(x.scalar_type())) return F(x);
  return F(x.to(at::kFloat)).to(x.scalar_type());
}

Tensor exp(const Tensor& x) { return at::exp(x); }  // float32 for integers
Tensor abs(const Tensor& x) { return x.scalar_type() == at::kBool ? x.clone() : at::abs(x); }
Tensor neg(const Tensor& x) { return x.scalar_type() == at::kBool ? at::neg(x.to(at::kInt)) : at::neg(x); }
Tensor square(const Tensor& x) { return at::mul(x, x); }
Tensor selu(const Tensor& x) { return at::selu(x); }
Tensor softplus(const Tensor& x) { return at::softplus(x); }
Tensor elu(const Tensor& x) { return at::elu(x); }
Tensor silu(const Tensor& x) { return at::silu(x); }
// at::sign passes NaN on; TensorFlow.js gives 0.
Tensor sign(const Tensor& x) {
  return at::isFloatingType(x.scalar_type()) ? at::sub(at::gt(x, 0).to(x.scalar_type()), at::lt(x, 0).to(x.scalar_type()))
                                             : at::sign(x);
}
Tensor relu(const Tensor& x) { return at::clamp_min(x, 0); }
Tensor relu6(const Tensor& x) { return at::clamp(x, 0, 6); }
Tensor step(const Tensor& x, double alpha) {
  Tensor stepped = at::where(at::gt(x, 0), at::ones({}, x.options()), at::full({}, alpha, x.options()));
  return at::isFloatingType(x.scalar_type()) ? at::where(at::isnan(x), x, stepped) : stepped;
}
Tensor leakyRelu(const Tensor& x, double alpha) {
  return at::isFloatingType(x.scalar_type()) ? at::leaky_relu(x, alpha) : at::leaky_relu(x.to(at::kFloat), alpha);
}
Tensor clip(const Tensor& x, double low, double high) { return at::clamp(x, low, high).to(x.scalar_type()); }
Tensor logicalNot(const Tensor& x) { return at::logical_not(x); }
Tensor isNan(const Tensor& x) { return at::isnan(x); }
Tensor isInf(const Tensor& x) { return at::isinf(x); }
Tensor isFinite(const Tensor& x) { return at::isfinite(x); }

// float -> int32 as JavaScript converts: NaN and the infinities become 0, other values are truncated modulo 2^32.
Tensor cast(const Tensor& x, Dtype dtype) {
  const at::ScalarType to = scalarType(dtype);
  if (to == at::kBool) return at::ne(x.is_complex() ? at::real(x) : x, 0);
  if (to == at::kInt && at::isFloatingType(x.scalar_type())) {
    return at::where(at::isfinite(x), x, at::zeros({}, x.options())).to(at::kLong).to(at::kInt);
  }
  if (at::isComplexType(x.scalar_type()) && to != at::kComplexFloat) return at::real(x).to(to);
  return x.to(to, /*non_blocking=*/false, /*copy=*/true);
}

}  // namespace

void exportUnary(Exports& exports) {
#define UNARY(name) exports.push_back(bind<keepType<at::name>>(#name))
  UNARY(acos);
  UNARY(acosh);
  UNARY(asin);
  UNARY(asinh);
  UNARY(atan);
  UNARY(atanh);
  UNARY(ceil);
  UNARY(cos);
  UNARY(cosh);
  UNARY(erf);
  UNARY(expm1);
  UNARY(floor);
  UNARY(log);
  UNARY(log1p);
  UNARY(reciprocal);
  UNARY(round);
  UNARY(rsqrt);
  UNARY(sigmoid);
  UNARY(sin);
  UNARY(sinh);
  UNARY(sqrt);
  UNARY(tan);
  UNARY(tanh);
#undef UNARY
  exports.insert(exports.end(), {
      bind<abs>("abs"),
      bind<exp>("exp"),
      bind<neg>("neg"),
      bind<square>("square"),
      bind<sign>("sign"),
      bind<keepType<relu>>("relu"),
      bind<keepType<relu6>>("relu6"),
      bind<keepType<elu>>("elu"),
      bind<keepType<selu>>("selu"),
      bind<keepType<silu>>("silu"),
      bind<keepType<softplus>>("softplus"),
      bind<step>("step"),
      bind<leakyRelu>("leakyRelu"),
      bind<clip>("clip"),
      bind<logicalNot>("logicalNot"),
      bind<isNan>("isNan"),
      bind<isInf>("isInf"),
      bind<isFinite>("isFinite"),
      bind<cast>("cast"),
  });
}

}  // namespace tfjs_torch
