// Turns a typed C++ function into a function of the addon: arguments are converted by parameter type, results are
// stored in the tensor table, and every C++ exception becomes a JavaScript Error.
#pragma once
#include <array>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <node_api.h>

#include "tensor_table.h"

namespace tfjs_torch {

using at::Tensor;
using Ints = std::vector<int64_t>;
using Tensors = std::vector<Tensor>;
using MaybeTensor = std::optional<Tensor>;

// What one environment owns. The device is fixed when the addon loads.
struct State {
  TensorTable table;
  c10::Device device{c10::kCPU};
};

struct Call {
  napi_env env;
  State& state;
};

// TensorFlow.js element types by the codes of src/dtypes.ts. Strings are stored as indices into a table in JavaScript.
enum class Dtype : int32_t { float32 = 0, int32 = 1, boolean = 2, complex64 = 3, string = 4 };
at::ScalarType scalarType(Dtype dtype);

[[noreturn]] void argumentError(const char* expected);
void checkNapi(napi_status status, const char* what);
void throwAsJavaScript(napi_env env);

template <class T>
struct Arg;
template <>
struct Arg<Tensor> {
  static const Tensor& from(Call& call, napi_value value) {
    uint32_t handle;
    if (napi_get_value_uint32(call.env, value, &handle) != napi_ok) argumentError("a tensor handle");
    return call.state.table.get(handle);
  }
};
template <>
struct Arg<double> {
  static double from(Call& call, napi_value value) {
    double result;
    if (napi_get_value_double(call.env, value, &result) != napi_ok) argumentError("a number");
    return result;
  }
};
template <>
struct Arg<int64_t> {
  static int64_t from(Call& call, napi_value value) {
    int64_t result;
    if (napi_get_value_int64(call.env, value, &result) != napi_ok) argumentError("an integer");
    return result;
  }
};
template <>
struct Arg<bool> {
  static bool from(Call& call, napi_value value) {
    bool result;
    if (napi_get_value_bool(call.env, value, &result) != napi_ok) argumentError("a boolean");
    return result;
  }
};
template <>
struct Arg<Dtype> {
  static Dtype from(Call& call, napi_value value) {
    const int64_t code = Arg<int64_t>::from(call, value);
    if (code < 0 || code > 4) argumentError("a dtype code from 0 to 4");
    return static_cast<Dtype>(code);
  }
};
template <>
struct Arg<std::string> {
  static std::string from(Call& call, napi_value value);
};
template <class T>
struct Arg<std::vector<T>> {
  static std::vector<T> from(Call& call, napi_value value) {
    uint32_t length;
    if (napi_get_array_length(call.env, value, &length) != napi_ok) argumentError("an array");
    std::vector<T> result;
    result.reserve(length);
    for (uint32_t i = 0; i < length; i++) {
      napi_value item;
      checkNapi(napi_get_element(call.env, value, i, &item), "an array element");
      result.push_back(Arg<T>::from(call, item));
    }
    return result;
  }
};
template <class T>
struct Arg<std::optional<T>> {
  static std::optional<T> from(Call& call, napi_value value) {
    napi_valuetype type;
    checkNapi(napi_typeof(call.env, value, &type), "an argument");
    if (type == napi_undefined || type == napi_null) return std::nullopt;
    return Arg<T>::from(call, value);
  }
};
// The bytes of a typed array, borrowed for the length of the call.
struct HostBytes {
  napi_typedarray_type type;
  size_t length;
  void* data;
};
template <>
struct Arg<HostBytes> {
  static HostBytes from(Call& call, napi_value value);
};

// Makes the result the only owner of its storage, in row-major order: a later in-place update of an input cannot show
// through it, and a small slice does not keep a large parent alive.
Tensor owned(Tensor tensor);

inline napi_value toJs(Call& call, Tensor tensor) {
  napi_value result;
  napi_create_uint32(call.env, call.state.table.add(owned(std::move(tensor))), &result);
  return result;
}
inline napi_value toJs(Call& call, double value) {
  napi_value result;
  napi_create_double(call.env, value, &result);
  return result;
}
inline napi_value toJs(Call& call, bool value) {
  napi_value result;
  napi_get_boolean(call.env, value, &result);
  return result;
}
napi_value toJs(Call& call, const std::string& value);
template <class T>
napi_value toJs(Call& call, std::vector<T> values) {
  napi_value result;
  napi_create_array_with_length(call.env, values.size(), &result);
  for (uint32_t i = 0; i < values.size(); i++) napi_set_element(call.env, result, i, toJs(call, std::move(values[i])));
  return result;
}

template <class F>
struct Signature;
template <class R, class... A>
struct Signature<R (*)(A...)> {
  using Result = R;
  static constexpr size_t count = sizeof...(A);
  template <class F, size_t... I>
  static napi_value invoke(F function, Call& call, napi_value* argv, std::index_sequence<I...>) {
    std::tuple<std::decay_t<A>...> args{Arg<std::decay_t<A>>::from(call, argv[I])...};
    if constexpr (std::is_void_v<R>) {
      function(std::get<I>(args)...);
      return nullptr;
    } else {
      return toJs(call, function(std::get<I>(args)...));
    }
  }
};
// The same for functions whose first parameter is the call itself.
template <class R, class... A>
struct Signature<R (*)(Call&, A...)> {
  using Result = R;
  static constexpr size_t count = sizeof...(A);
  template <class F, size_t... I>
  static napi_value invoke(F function, Call& call, napi_value* argv, std::index_sequence<I...>) {
    std::tuple<std::decay_t<A>...> args{Arg<std::decay_t<A>>::from(call, argv[I])...};
    if constexpr (std::is_void_v<R>) {
      function(call, std::get<I>(args)...);
      return nullptr;
    } else {
      return toJs(call, function(call, std::get<I>(args)...));
    }
  }
};

template <auto F>
napi_value entry(napi_env env, napi_callback_info info) {
  using S = Signature<decltype(F)>;
  napi_value argv[S::count + 1] = {};
  size_t argc = S::count;
  void* data = nullptr;
  napi_get_cb_info(env, info, &argc, argv, nullptr, &data);
  Call call{env, *static_cast<State*>(data)};
  try {
    c10::InferenceMode guard;
    return S::invoke(F, call, argv, std::make_index_sequence<S::count>{});
  } catch (...) {
    throwAsJavaScript(env);
    return nullptr;
  }
}

struct Export {
  const char* name;
  napi_callback call;
};
using Exports = std::vector<Export>;

template <auto F>
Export bind(const char* name) {
  return {name, &entry<F>};
}

}  // namespace tfjs_torch
