// What choosing an instance of a kernel of native/device takes: element types, vectors, names, buffers.
#pragma once
#include "../binding.h"

#include "../device/launch.h"

namespace tfjs_torch {

// The type of an element of a tensor that a kernel reads as T.
inline at::ScalarType typeOf(float) { return at::kFloat; }
inline at::ScalarType typeOf(Bf16) { return at::kBFloat16; }
inline at::ScalarType typeOf(int32_t) { return at::kInt; }
template <class T>
T* data(const Tensor& x) {
  TORCH_CHECK(x.scalar_type() == typeOf(T()), "a kernel that reads ", typeOf(T()), " got a tensor of ", x.scalar_type(), " ", x.sizes());
  return static_cast<T*>(x.data_ptr());
}
inline float* floats(const MaybeTensor& x) { return x && x->defined() ? data<float>(*x) : nullptr; }

// f(a value of the element type, its name)
template <class F>
void withType(const Tensor& x, F f) {
  if (x.scalar_type() == at::kBFloat16) f(Bf16(), "Bf16");
  else f(float(), "float");
}
template <class F>
void withVector(int64_t vector, F f) {
  switch (vector) {
    case 8: return f(std::integral_constant<int, 8>());
    case 4: return f(std::integral_constant<int, 4>());
    case 2: return f(std::integral_constant<int, 2>());
    default: return f(std::integral_constant<int, 1>());
  }
}
inline std::string named(const char* name, std::initializer_list<std::string> arguments) {
  std::string result(name), separator = "<";
  for (const std::string& argument : arguments) {
    result += separator + argument;
    separator = ",";
  }
  return result + ">";
}
inline bool taken(const Tensor& x) { return x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16; }
// Neighbours in one access of 16 bytes, or fewer where rows of `width` do not divide so.
inline int64_t vectorFor(const Tensor& x, int64_t width) {
  int64_t vector = x.scalar_type() == at::kBFloat16 ? 8 : 4;
  while (width % vector != 0) vector /= 2;
  return vector;
}
inline Tensor floatsLike(const Tensor& x, const Ints& shape) { return at::empty(shape, x.options().dtype(at::kFloat)); }

constexpr int threadsOfBlock = 256;
inline int64_t blocksOf(int64_t count, int64_t each) { return (count + each - 1) / each; }

}  // namespace tfjs_torch
