// OpenBLAS keeps its own pool beside OpenMP's. Left alone, both start a thread per core and get in each other's way.
#include "threads.h"

#include "host/parallel.h"
#include "symbol.h"

#include <ATen/Parallel.h>

namespace tfjs_torch {

void setThreads(int64_t intraOp, int64_t blas) {
  at::set_num_threads(static_cast<int>(intraOp));
  if (const auto set = symbol<void (*)(int)>("openblas_set_num_threads")) set(static_cast<int>(blas));
}
namespace {

struct Pool {
  int (*get)();
  void (*set)(int);
};
const Pool& openBlas() {
  static const Pool pool{symbol<int (*)()>("openblas_get_num_threads"), symbol<void (*)(int)>("openblas_set_num_threads")};
  return pool;
}
// oneDNN's threads are OpenMP's.
const Pool& openMp() {
  static const Pool pool{symbol<int (*)()>("omp_get_max_threads"), symbol<void (*)(int)>("omp_set_num_threads")};
  return pool;
}
const Pool& poolOf(ProductBy library) { return library == ProductBy::oneDnn ? openMp() : openBlas(); }

}  // namespace

SmallProduct::SmallProduct(ProductBy library, int64_t m, int64_t n, int64_t k) : library_(library) {
  const Pool& pool = poolOf(library);
  if (!pool.get || !pool.set || m * n * k >= worthwhileProduct) return;
  const int threads = pool.get();
  if (threads <= 1) return;
  restore_ = threads;
  pool.set(1);
}
SmallProduct::~SmallProduct() {
  if (restore_ > 0) poolOf(library_).set(restore_);
}

void parallelFor(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
  at::parallel_for(0, count, grain, body);
}
int64_t intraOpThreads() { return at::get_num_threads(); }
int64_t blasThreads() {
  if (const auto get = symbol<int (*)()>("openblas_get_num_threads")) return get();
  if (const auto get = symbol<int (*)()>("mkl_get_max_threads")) return get();
  return 0;
}

}  // namespace tfjs_torch
