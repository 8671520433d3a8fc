// GEGLU on the CPU: rows of [value, gate], 2 * width floats, to value * gelu(gate).
#pragma once
#include <cstdint>

namespace tfjs_torch {

void gegluForward(int64_t rows, int64_t width, const float* x, float* y);
void gegluBackward(int64_t rows, int64_t width, const float* dy, const float* x, float* dx);

}  // namespace tfjs_torch
