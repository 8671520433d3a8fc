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
