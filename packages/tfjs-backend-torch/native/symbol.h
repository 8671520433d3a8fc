// Functions of libraries that libtorch may have been linked with, by name.
#pragma once
#include <dlfcn.h>

namespace tfjs_torch {

// A null pointer where no library that is loaded has it.
template <class F>
F symbol(const char* name) {
  return reinterpret_cast<F>(dlsym(RTLD_DEFAULT, name));
}

}  // namespace tfjs_torch
