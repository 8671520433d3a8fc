// Thread counts: libtorch's own (intra-op) and its BLAS library's, which must be set apart.
#pragma once
#include <cstdint>

namespace tfjs_torch {

void setThreads(int64_t intraOp, int64_t blas);
int64_t intraOpThreads();
// 0 where the BLAS library does not say.
int64_t blasThreads();

}  // namespace tfjs_torch
