// Elementwise functions of two or three tensors with broadcasting.
#include "ops.h"

namespace tfjs_torch {
namespace {

bool isBool(const Tensor& x) { return x.scalar_type() == at::kBool; }
bool isFloat(const Tensor& x) { return at::isFloatingType(x.scalar_type()); }
Tensor number(const Tensor& x) { return isBool(x) ? x.to(at::kInt) : x; }

// Runs an integer function in double precision and brings the result back, as JavaScript's numbers do.
template <Tensor (*F)(const Tensor&, const Tensor&)>
Tensor viaDouble(const Tensor& a, const Tensor& b) {
  if (isFloat(a) || isFloat(b)) return F(a, b);
  const Tensor result = F(a.to(at::kDouble), b.to(at::kDouble));
  return at::nan_to_num(result, 0, 0, 0).to(at::kLong).to(at::kInt);
}

Tensor add(const Tensor& a, const Tensor& b) { return at::add(number(a), number(b)); }
Tensor sub(const Tensor& a, const Tensor& b) { return at::sub(number(a), number(b)); }
Tensor mul(const Tensor& a, const Tensor& b) { return at::mul(number(a), number(b)); }
Tensor div(const Tensor& a, const Tensor& b) {
  if (isFloat(a) || isFloat(b) || a.is_complex() || b.is_complex()) return at::div(a, b);
  return at::nan_to_num(at::div(a.to(at::kDouble), b.to(at::kDouble)), 0, 0, 0).to(at::kLong).to(at::kInt);
}
Tensor floorQuotient(const Tensor& a, const Tensor& b) { return at::floor(at::div(a, b)); }
Tensor floorDiv(const Tensor& a, const Tensor& b) {
  const Tensor quotient = floorQuotient(a.to(at::kDouble), b.to(at::kDouble));
  return at::nan_to_num(quotient, 0, 0, 0).to(at::kLong).to(at::kInt);
}
Tensor mod(const Tensor& a, const Tensor& b) { return at::remainder(a, b); }
Tensor pow(const Tensor& a, const Tensor& b) { return at::pow(a, b); }
Tensor atan2(const Tensor& a, const Tensor& b) { return at::atan2(a, b); }
Tensor maximum(const Tensor& a, const Tensor& b) { return at::maximum(number(a), number(b)); }
Tensor minimum(const Tensor& a, const Tensor& b) { return at::minimum(number(a), number(b)); }
Tensor squaredDifference(const Tensor& a, const Tensor& b) {
  const Tensor difference = at::sub(number(a), number(b));
  return at::mul(difference, difference);
}
Tensor bitwiseAnd(const Tensor& a, const Tensor& b) { return at::bitwise_and(a, b); }
Tensor prelu(const Tensor& x, const Tensor& alpha) { return at::where(at::lt(x, 0), at::mul(alpha, x), x); }
Tensor eluGrad(const Tensor& dy, const Tensor& y) { return at::where(at::ge(y, 0), dy, at::mul(dy, at::add(y, 1))); }

Tensor equal(const Tensor& a, const Tensor& b) { return at::eq(a, b); }
Tensor notEqual(const Tensor& a, const Tensor& b) { return at::ne(a, b); }
Tensor greater(const Tensor& a, const Tensor& b) { return at::gt(a, b); }
Tensor greaterEqual(const Tensor& a, const Tensor& b) { return at::ge(a, b); }
Tensor less(const Tensor& a, const Tensor& b) { return at::lt(a, b); }
Tensor lessEqual(const Tensor& a, const Tensor& b) { return at::le(a, b); }
Tensor logicalAnd(const Tensor& a, const Tensor& b) { return at::logical_and(a, b); }
Tensor logicalOr(const Tensor& a, const Tensor& b) { return at::logical_or(a, b); }

Tensor addN(const Tensors& xs) {
  if (xs.size() == 1) return xs[0].clone();
  Tensor sum = at::add(xs[0], xs[1]);
  for (size_t i = 2; i < xs.size(); i++) sum.add_(xs[i]);
  return sum;
}

// A condition of rank 1 chooses whole rows of inputs of higher rank.
Tensor select(const Tensor& condition, const Tensor& yes, const Tensor& no) {
  if (condition.dim() == 1 && yes.dim() > 1) {
    Ints shape(yes.dim(), 1);
    shape[0] = condition.size(0);
    return at::where(condition.view(shape), yes, no);
  }
  return at::where(condition, yes, no);
}

}  // namespace

void exportBinary(Exports& exports) {
  exports.insert(exports.end(), {
      bind<add>("add"),
      bind<sub>("sub"),
      bind<mul>("mul"),
      bind<div>("div"),
      bind<floorDiv>("floorDiv"),
      bind<viaDouble<mod>>("mod"),
      bind<viaDouble<pow>>("pow"),
      bind<viaDouble<atan2>>("atan2"),
      bind<maximum>("maximum"),
      bind<minimum>("minimum"),
      bind<squaredDifference>("squaredDifference"),
      bind<bitwiseAnd>("bitwiseAnd"),
      bind<prelu>("prelu"),
      bind<eluGrad>("eluGrad"),
      bind<equal>("equal"),
      bind<notEqual>("notEqual"),
      bind<greater>("greater"),
      bind<greaterEqual>("greaterEqual"),
      bind<less>("less"),
      bind<lessEqual>("lessEqual"),
      bind<logicalAnd>("logicalAnd"),
      bind<logicalOr>("logicalOr"),
      bind<addN>("addN"),
      bind<select>("select"),
  });
}

}  // namespace tfjs_torch
