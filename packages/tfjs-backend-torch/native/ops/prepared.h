// Copies of weights in the type and layout that products and convolutions read, made once and kept until the weight is
// released, or written by what does not write the copy with it. What is asked for a second time counts as a weight; inputs that are used once leave no copy.
#pragma once
#include <vector>

#include <ATen/ATen.h>

namespace tfjs_torch {

// x itself where it is like that already. x may be a permuted view of a stored tensor.
at::Tensor prepared(const at::Tensor& x, at::ScalarType type, at::MemoryFormat format);

// Contiguous x in another type, for inputs that much of a network reads, such as the text that all attention to it reads: within what is
// recorded as a graph converted once, otherwise at each use, since what graphs and callers write into an input is not told.
at::Tensor convertedOnce(const at::Tensor& x, at::ScalarType type);

// After x was written in place.
void forgetCopies(const at::Tensor& x);
// Before float32 x is written in place by what writes its copy as well: the copy in bf16, its elements in x's order. It goes on being
// one, and stays where it is; all others are forgotten. Undefined where there is none of x as it is.
at::Tensor copyToWriteWith(const at::Tensor& x);
// Before x loses its last owner.
void releaseCopies(const at::Tensor& x);

// What is recorded as a graph reads the copies that are there, which are of weights that were not written lately, and makes the others
// in its own memory, so that each replay makes them of the weights as they are. Ends with the storages that the graph writes in place, in
// order, each with the copy that it writes as well. Copies that are not of weights as they are must have been renewed before.
struct WrittenStorage {
  const c10::StorageImpl* storage;
  at::Tensor copy;  // undefined where it writes none
};
using Written = std::vector<WrittenStorage>;
void beginGraphCopies();
Written endGraphCopies();
bool recordingGraph();
// Before a recording or a replay: copies that graphs read, of weights written since they were made, are made anew where they lie.
void renewGraphCopies();
// After a replay.
void forgetCopiesOf(const Written& written);

// Copies made in this thread so far.
int64_t copiesMade();

}  // namespace tfjs_torch
