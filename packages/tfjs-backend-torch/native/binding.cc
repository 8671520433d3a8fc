// The parts of the binding that are not templates: error translation and the rarer argument types.
#include "binding.h"

#include <c10/util/Exception.h>

namespace tfjs_torch {

at::ScalarType scalarType(Dtype dtype) {
  switch (dtype) {
    case Dtype::float32: return at::kFloat;
    case Dtype::int32: return at::kInt;
    case Dtype::boolean: return at::kBool;
    case Dtype::complex64: return at::kComplexFloat;
    case Dtype::string: return at::kInt;
  }
  argumentError("a dtype code from 0 to 4");
}

void argumentError(const char* expected) { throw std::invalid_argument(std::string("expected ") + expected); }

void checkNapi(napi_status status, const char* what) {
  if (status != napi_ok) throw std::invalid_argument(std::string("could not read ") + what);
}

void throwAsJavaScript(napi_env env) {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (pending) return;
  try {
    throw;
  } catch (const c10::Error& error) {
    napi_throw_error(env, "TORCH", error.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    napi_throw_error(env, "TORCH", "out of memory");
  } catch (const std::exception& error) {
    napi_throw_error(env, "TORCH", error.what());
  } catch (...) {
    napi_throw_error(env, "TORCH", "unknown C++ exception");
  }
}

Tensor owned(Tensor tensor) {
  if (!tensor.is_contiguous()) return tensor.contiguous();
  // A fresh tensor's storage has one owner. More than one: it shares its memory with an input or another output.
  if (tensor.has_storage() && tensor.storage().use_count() > 1) return tensor.clone(at::MemoryFormat::Contiguous);
  return tensor;
}

std::string Arg<std::string>::from(Call& call, napi_value value) {
  size_t length;
  if (napi_get_value_string_utf8(call.env, value, nullptr, 0, &length) != napi_ok) argumentError("a string");
  std::string result(length, '\0');
  napi_get_value_string_utf8(call.env, value, result.data(), length + 1, &length);
  return result;
}

HostBytes Arg<HostBytes>::from(Call& call, napi_value value) {
  bool is = false;
  napi_is_typedarray(call.env, value, &is);
  if (!is) argumentError("a typed array");
  HostBytes bytes;
  checkNapi(napi_get_typedarray_info(call.env, value, &bytes.type, &bytes.length, &bytes.data, nullptr, nullptr),
            "a typed array");
  return bytes;
}

napi_value toJs(Call& call, const std::string& value) {
  napi_value result;
  napi_create_string_utf8(call.env, value.c_str(), value.size(), &result);
  return result;
}

}  // namespace tfjs_torch
