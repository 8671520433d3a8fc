// Products of matrices of one type. Those of float32 on x86 processors are oneDNN's where libtorch has it as a library of its own
// (Debian's): compiled for the processor at hand, as its convolutions are, whichever kernels OpenBLAS was told to use. All others
// are libtorch's. Matrices are row-major, or transposed views of such.
#pragma once
#include <ATen/ATen.h>

namespace tfjs_torch {

// a [M, K], b [K, N] -> [M, N]
at::Tensor product(const at::Tensor& a, const at::Tensor& b);
// bias [N] + a b
at::Tensor productPlus(const at::Tensor& bias, const at::Tensor& a, const at::Tensor& b);
// Adds a b to row-major [M, N] where it lies.
void addProduct(at::Tensor& onto, const at::Tensor& a, const at::Tensor& b);
// a [B, M, K], b [B, K, N] -> [B, M, N]
at::Tensor productOfBatches(const at::Tensor& a, const at::Tensor& b);

}  // namespace tfjs_torch
