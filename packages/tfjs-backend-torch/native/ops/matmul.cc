// Matrix products: batched with broadcasting, with bias and activation, and einsum.
#include "activation.h"
#include "../threads.h"
#include "precision.h"
#include "prepared.h"
#include "product.h"

namespace tfjs_torch {
namespace {

// CUDA has no products of integers; float64 holds them exactly up to 2^53.
bool wantsDouble(const Tensor& x) { return x.is_cuda() && at::isIntegralType(x.scalar_type(), /*includeBool=*/true); }
Tensor asInt(const Tensor& x) { return x.to(at::kLong).to(at::kInt); }

Tensor forProduct(const Tensor& x) { return prepared(x, typeForMatmul(x), at::MemoryFormat::Contiguous); }

// a [A, M, K], b [B, K, N] (before transposition), A and B equal or one of them 1; or any batches that broadcast.
Tensor anyProduct(const Tensor& left, const Tensor& right, bool transposeA, bool transposeB) {
  if (wantsDouble(left)) return asInt(anyProduct(left.to(at::kDouble), right.to(at::kDouble), transposeA, transposeB));
  const Tensor a = forMatmul(left), b = forProduct(right);
  const Tensor at = transposeA ? a.transpose(-2, -1) : a, bt = transposeB ? b.transpose(-2, -1) : b;
  if (a.dim() != 3 || b.dim() != 3) {
    const SmallProduct threads(ProductBy::openBlas, at.size(-2), bt.size(-1), at.size(-1));
    return at::matmul(at, bt);
  }
  if (b.size(0) == 1 && !transposeA) {  // one matrix product over all rows
    const Tensor rows = a.reshape({a.size(0) * a.size(1), a.size(2)});
    return product(rows, bt.select(0, 0)).reshape({a.size(0), a.size(1), bt.size(2)});
  }
  if (a.size(0) == 1 && b.size(0) == 1) return product(at.select(0, 0), bt.select(0, 0)).unsqueeze(0);
  const int64_t count = a.size(0) == 1 ? b.size(0) : a.size(0);
  return productOfBatches(at.expand({count, -1, -1}), bt.expand({count, -1, -1}));
}

Tensor matmul(const Tensor& a, const Tensor& b, bool transposeA, bool transposeB) {
  return anyProduct(a, b, transposeA, transposeB);
}
Tensor fusedMatmul(const Tensor& a, const Tensor& b, bool transposeA, bool transposeB, const MaybeTensor& bias,
                   int64_t activation, const MaybeTensor& prelu, double leakyAlpha) {
  Tensor y = anyProduct(a, b, transposeA, transposeB);
  if (bias) y = at::add(y, bias->to(y.scalar_type()));
  return activate(y, {activation, prelu, leakyAlpha});
}
// x [..., in], kernel [in, out], bias [out] -> [..., out]
Tensor rowsOf(const Tensor& x) { return x.reshape({-1, x.size(-1)}); }
Tensor inShapeOf(const Tensor& x, const Tensor& rows) {
  Ints shape = x.sizes().vec();
  shape.back() = rows.size(1);
  return rows.view(shape);
}
Tensor linear(const Tensor& x, const Tensor& kernel, const MaybeTensor& bias) {
  const Tensor a = rowsOf(convertedOnce(x, typeForMatmul(x))), b = forProduct(kernel);
  if (!bias) return inShapeOf(x, product(a, b));
  // Of one type with the product: a float32 bias would make the result float32.
  return inShapeOf(x, productPlus(prepared(*bias, a.scalar_type(), at::MemoryFormat::Contiguous), a, b));
}
Tensor linearInputGrad(const Tensor& dy, const Tensor& kernel) {
  const Tensor a = rowsOf(forMatmul(dy)), b = prepared(kernel, typeForMatmul(kernel), at::MemoryFormat::Contiguous);
  return inShapeOf(dy, product(a, b.t()));
}
// Adds the same to `onto` where it lies, in the product's own pass. Says whether it did: types may differ.
bool linearInputGradOnto(const Tensor& given, const Tensor& dy, const Tensor& kernel) {
  const Tensor a = rowsOf(forMatmul(dy)), b = prepared(kernel, typeForMatmul(kernel), at::MemoryFormat::Contiguous);
  if (given.scalar_type() != a.scalar_type()) return false;
  forgetCopies(given);
  Tensor onto = given.view({a.size(0), b.size(0)});
  addProduct(onto, a, b.t());
  return true;
}
Tensor linearKernelGrad(const Tensor& x, const Tensor& dy) {
  const Tensor a = rowsOf(convertedOnce(x, typeForMatmul(x))), b = rowsOf(forMatmul(dy));
  return product(a.t(), b);
}
// For a matrix that is only read from now on: of it no copy is kept.
Tensor frozenMatrix(const Tensor& x) { return x.to(typeForMatmul(x), /*non_blocking=*/false, /*copy=*/true); }
Tensor einsum(const std::string& equation, const Tensors& operands) {
  if (!std::any_of(operands.begin(), operands.end(), wantsDouble)) return at::einsum(equation, operands);
  Tensors doubles;
  for (const Tensor& x : operands) doubles.push_back(x.to(at::kDouble));
  return asInt(at::einsum(equation, doubles));
}

}  // namespace

void exportMatmul(Exports& exports) {
  exports.insert(exports.end(), {
      bind<matmul>("matmul"),
      bind<fusedMatmul>("fusedMatmul"),
      bind<linear>("linear"),
      bind<linearInputGrad>("linearInputGrad"),
      bind<linearInputGradOnto>("linearInputGradOnto"),
      bind<linearKernelGrad>("linearKernelGrad"),
      bind<frozenMatrix>("frozenMatrix"),
      bind<einsum>("einsum"),
  });
}

}  // namespace tfjs_torch
