#include "product.h"

#include "../host/parallel.h"
#include "../symbol.h"
#include "../threads.h"

namespace tfjs_torch {
namespace {

using at::Tensor;

// oneDNN's C function: C = alpha op(A) op(B) + beta C, row-major; C is not read where beta is 0. 0 says that it was done.
using Sgemm = int (*)(char transA, char transB, int64_t m, int64_t n, int64_t k, float alpha, const float* a, int64_t lda,
                      const float* b, int64_t ldb, float beta, float* c, int64_t ldc);
Sgemm oneDnn() {
#if defined(__x86_64__)  // elsewhere it has no kernels of its own for it
  static const auto sgemm = symbol<Sgemm>("dnnl_sgemm");
  return sgemm;
#else
  return nullptr;
#endif
}
bool byOneDnn(const Tensor& a, const Tensor& b) {
  return a.is_cpu() && a.scalar_type() == at::kFloat && b.scalar_type() == at::kFloat && a.numel() > 0 && b.numel() > 0 && oneDnn();
}

// The last two axes of a tensor as BLAS reads them; strides of axes of one element say nothing.
struct Matrix {
  const float* data;
  int64_t batchStride, leading;
  char trans;
};
bool leads(const Tensor& x, int64_t along, int64_t across) {
  return (x.size(along) == 1 || x.stride(along) == 1) && (x.size(across) == 1 || x.stride(across) >= x.size(along));
}
bool readable(const Tensor& x) { return leads(x, -1, -2) || leads(x, -2, -1); }
Matrix matrixOf(const Tensor& x) {
  const bool rowMajor = leads(x, -1, -2);
  const int64_t along = rowMajor ? -1 : -2, across = rowMajor ? -2 : -1;
  const int64_t leading = x.size(across) == 1 ? x.size(along) : x.stride(across);
  return {x.data_ptr<float>(), x.dim() == 3 ? x.stride(0) : 0, leading, rowMajor ? 'N' : 'T'};
}

struct Sizes {
  int64_t m, n, k;
};
Sizes sizesOf(const Tensor& a, const Tensor& b) {
  TORCH_CHECK(a.size(-1) == b.size(-2), "a product wants as many columns as rows: ", a.sizes(), " times ", b.sizes());
  return {a.size(-2), b.size(-1), a.size(-1)};
}
void multiply(const Sizes& s, const Matrix& a, const Matrix& b, int64_t batch, float beta, float* out) {
  const int failed = oneDnn()(a.trans, b.trans, s.m, s.n, s.k, 1, a.data + batch * a.batchStride, a.leading,
                              b.data + batch * b.batchStride, b.leading, beta, out + batch * s.m * s.n, s.n);
  TORCH_CHECK(!failed, "oneDNN refused a product of ", s.m, " x ", s.k, " and ", s.k, " x ", s.n, " with status ", failed);
}
void multiply(const Tensor& aGiven, const Tensor& bGiven, float beta, Tensor& out) {
  const Tensor a = readable(aGiven) ? aGiven : aGiven.contiguous(), b = readable(bGiven) ? bGiven : bGiven.contiguous();
  const Sizes s = sizesOf(a, b);
  const SmallProduct threads(ProductBy::oneDnn, s.m, s.n, s.k);
  multiply(s, matrixOf(a), matrixOf(b), 0, beta, out.data_ptr<float>());
}

}  // namespace

Tensor product(const Tensor& a, const Tensor& b) {
  if (byOneDnn(a, b)) {
    Tensor y = at::empty({a.size(0), b.size(1)}, a.options());
    multiply(a, b, 0, y);
    return y;
  }
  const SmallProduct threads(ProductBy::openBlas, a.size(0), b.size(1), a.size(1));
  return at::mm(a, b);
}
Tensor productPlus(const Tensor& bias, const Tensor& a, const Tensor& b) {
  if (byOneDnn(a, b) && bias.scalar_type() == at::kFloat) {
    Tensor y = at::empty({a.size(0), b.size(1)}, a.options());
    y.copy_(bias);  // into each row
    multiply(a, b, 1, y);
    return y;
  }
  const SmallProduct threads(ProductBy::openBlas, a.size(0), b.size(1), a.size(1));
  return at::addmm(bias, a, b);
}
void addProduct(Tensor& onto, const Tensor& a, const Tensor& b) {
  if (byOneDnn(a, b)) return multiply(a, b, 1, onto);
  const SmallProduct threads(ProductBy::openBlas, a.size(0), b.size(1), a.size(1));
  onto.addmm_(a, b);
}
Tensor productOfBatches(const Tensor& aGiven, const Tensor& bGiven) {
  const int64_t count = aGiven.size(0);
  if (!byOneDnn(aGiven, bGiven)) {
    const SmallProduct threads(ProductBy::openBlas, aGiven.size(1), bGiven.size(2), aGiven.size(2));
    return at::bmm(aGiven, bGiven);
  }
  TORCH_CHECK(bGiven.size(0) == count, "batches of ", count, " and ", bGiven.size(0), " matrices cannot be multiplied");
  const Tensor a = readable(aGiven) ? aGiven : aGiven.contiguous(), b = readable(bGiven) ? bGiven : bGiven.contiguous();
  const Sizes s = sizesOf(a, b);
  Tensor y = at::empty({count, s.m, s.n}, a.options());
  float* out = y.data_ptr<float>();
  const Matrix left = matrixOf(a), right = matrixOf(b);
  const auto some = [&](int64_t from, int64_t to) {
    const SmallProduct threads(ProductBy::oneDnn, s.m, s.n, s.k);
    for (int64_t i = from; i < to; i++) multiply(s, left, right, i, 0, out);
  };
  if (count < intraOpThreads()) {  // each on all threads
    some(0, count);
  } else {
    parallelFor(count, std::max<int64_t>(1, worthwhileProduct / (s.m * s.n * s.k)), some);
  }
  return y;
}

}  // namespace tfjs_torch
