// What libtorch may call and the other files do not define. symbols.inc is written while building: CALL for what prepares work,
// KERNEL for what does some, MISSING for what programs of this kind are not expected to need. Includes no header of CUDA, which
// would declare the same names with their parameters.
namespace rehearsal {
void launchStub(void* stream, const char* name);  // launches.cc
int missing(const char* name);                    // trace.cc
}  // namespace rehearsal

#define CALL(name) __attribute__((weak)) int name() { return 0; }
// The first argument is the library's handle, which begins with the stream, see blas.cc and cudnn.cc.
#define KERNEL(name) __attribute__((weak)) int name(void** handle) { return rehearsal::launchStub(*handle, #name), 0; }
#define MISSING(name) __attribute__((weak)) int name() { return rehearsal::missing(#name); }

extern "C" {
#include "symbols.inc"
}
