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
// After that, while recording: copies that graphs read and that were not written with x are made anew, each time the graph runs.
void renewCopiesOf(const at::Tensor& x);
// Before x loses its last owner.
void releaseCopies(const at::Tensor& x);

// What is recorded as a graph reads the copies that are there, of weights that were not written lately and that no graph writes without
// them, and makes the others in its own memory, so that each replay makes them of the weights as they are. Copies that are not of weights as they are must have
// been renewed before.
struct CopyOf {
  const c10::StorageImpl* storage;
  at::Tensor copy;
};
struct GraphCopies {
  std::vector<CopyOf> read;  // those that were there before, each once
  std::vector<CopyOf> written;  // the storages that it writes in place, each with the copy that it writes as well, if any
  std::vector<CopyOf> renewed;  // those that it leaves as the weights are, though it wrote these
};
void beginGraphCopies();
GraphCopies endGraphCopies();
bool recordingGraph();
// Copies of weights written since they were made are made anew where they lie: before a recording all that graphs read, before a
// replay those that this graph reads.
void renewCopies();
void renewCopiesReadBy(const GraphCopies& copies);
// After a replay.
void forgetCopiesWrittenBy(const GraphCopies& copies);

// Copies made in this thread so far.
int64_t copiesMade();

}  // namespace tfjs_torch
