// OpenBLAS keeps its own pool beside OpenMP's. Left alone, both start a thread per core and get in each other's way.
#include "threads.h"

#include "host/parallel.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>

namespace tfjs_torch {
namespace {

template <class F>
F symbol(const char* name) {
  return reinterpret_cast<F>(dlsym(RTLD_DEFAULT, name));
}

}  // namespace

void setThreads(int64_t intraOp, int64_t blas) {
  at::set_num_threads(static_cast<int>(intraOp));
  if (const auto set = symbol<void (*)(int)>("openblas_set_num_threads")) set(static_cast<int>(blas));
}
namespace {
// About a millisecond of one core; waking a thread that the system has to schedule first can cost as much.
constexpr int64_t worthwhile = int64_t{32} << 20;  // multiply-adds
}  // namespace

SmallProduct::SmallProduct(int64_t m, int64_t n, int64_t k) {
  static const auto get = symbol<int (*)()>("openblas_get_num_threads");
  static const auto set = symbol<void (*)(int)>("openblas_set_num_threads");
  if (!get || !set || m * n * k >= worthwhile) return;
  const int threads = get();
  if (threads <= 1) return;
  restore_ = threads;
  set(1);
}
SmallProduct::~SmallProduct() {
  static const auto set = symbol<void (*)(int)>("openblas_set_num_threads");
  if (restore_ > 0) set(restore_);
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
