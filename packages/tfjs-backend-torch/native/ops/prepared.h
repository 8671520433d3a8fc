// Copies of weights in the type and layout that products and convolutions read, made once and kept until the weight is
// written or released. What is asked for a second time counts as a weight; inputs that are used once leave no copy.
#pragma once
#include <ATen/ATen.h>

namespace tfjs_torch {

// x itself where it is like that already. x may be a permuted view of a stored tensor.
at::Tensor prepared(const at::Tensor& x, at::ScalarType type, at::MemoryFormat format);

// After x was written in place.
void forgetCopies(const at::Tensor& x);
// Before x loses its last owner.
void releaseCopies(const at::Tensor& x);

// While a graph is recorded it makes copies of its own, in its own memory, so that each replay copies the weights as they are.
void beginGraphCopies();
void endGraphCopies();
// After a replay, which may have written any weight.
void forgetAllCopies();

bool recordingGraph();

// Copies made in this thread so far.
int64_t copiesMade();

}  // namespace tfjs_torch
