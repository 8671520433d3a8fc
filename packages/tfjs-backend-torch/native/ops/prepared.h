// Copies of weights in the type and layout that products and convolutions read, made once and kept until the weight is
// written or released. What is asked for a second time counts as a weight; inputs that are used once leave no copy.
#pragma once
#include <vector>

#include <ATen/ATen.h>

namespace tfjs_torch {

// x itself where it is like that already. x may be a permuted view of a stored tensor.
at::Tensor prepared(const at::Tensor& x, at::ScalarType type, at::MemoryFormat format);

// After x was written in place.
void forgetCopies(const at::Tensor& x);
// Before x loses its last owner.
void releaseCopies(const at::Tensor& x);

// What is recorded as a graph reads the copies that are there, which are of weights that were not written lately, and makes the others
// in its own memory, so that each replay makes them of the weights as they are. Ends with the storages that the graph writes.
using Written = std::vector<const c10::StorageImpl*>;
void beginGraphCopies();
Written endGraphCopies();
bool recordingGraph();
// Before a replay: copies that graphs read, of weights written since they were made, are made anew where they lie.
void renewGraphCopies();
// After a replay.
void forgetCopiesOf(const Written& written);

// Copies made in this thread so far.
int64_t copiesMade();

}  // namespace tfjs_torch
