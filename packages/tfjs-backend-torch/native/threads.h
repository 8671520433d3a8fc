// Thread counts: libtorch's own (intra-op) and its BLAS library's, which must be set apart.
#pragma once
#include <cstdint>

namespace tfjs_torch {

void setThreads(int64_t intraOp, int64_t blas);
int64_t intraOpThreads();
// 0 where the BLAS library does not say.
int64_t blasThreads();

// Multiply-adds, up to a millisecond of one core; waking a thread that the system has to schedule first can cost as much.
constexpr int64_t worthwhileProduct = int64_t{32} << 20;

// Keeps a library to one thread for products too small to be worth waking a second, for as long as it lives. Which product
// runs on how many threads depends on its size alone.
enum class ProductBy { oneDnn, openBlas };
class SmallProduct {
 public:
  SmallProduct(ProductBy library, int64_t m, int64_t n, int64_t k);
  ~SmallProduct();
  SmallProduct(const SmallProduct&) = delete;
  SmallProduct& operator=(const SmallProduct&) = delete;

 private:
  const ProductBy library_;
  int restore_ = 0;
};

}  // namespace tfjs_torch
