// The trace, and the errors of the runtime.
#include <execinfo.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "shared.h"

namespace rehearsal {

std::recursive_mutex everything;

namespace {
thread_local cudaError_t lastError = cudaSuccess;

FILE* openTrace() {
  const char* name = getenv("REHEARSAL_TRACE");
  if (!name) return nullptr;
  std::string path = name;
  if (const auto at = path.find("%p"); at != std::string::npos) path.replace(at, 2, std::to_string(getpid()));
  FILE* file = fopen(path.c_str(), "w");
  if (!file) fprintf(stderr, "rehearsal: %s cannot be written\n", path.c_str());
  return file;
}
FILE* traceFile() {
  static FILE* file = openTrace();
  return file;
}
void printBacktrace() {
  void* frames[40];
  backtrace_symbols_fd(frames, backtrace(frames, 40), STDERR_FILENO);
}
}  // namespace

bool tracing() { return traceFile() != nullptr; }

void trace(const char* format, ...) {
  FILE* file = traceFile();
  if (!file) return;
  Lock lock(everything);
  va_list arguments;
  va_start(arguments, format);
  vfprintf(file, format, arguments);
  va_end(arguments);
  fputc('\n', file);
  fflush(file);  // a crash must not take the last lines with it
}

void violation(const std::string& what) {
  trace("violation\t%s", what.c_str());
  if (!getenv("REHEARSAL_VERBOSE")) return;
  fprintf(stderr, "rehearsal: %s\n", what.c_str());
  printBacktrace();
}

cudaError_t fail(cudaError_t error, const char* what) {
  lastError = error;
  if (error == cudaErrorNotReady) return error;
  trace("error\t%s\t%s", what, cudaGetErrorName(error));
  if (getenv("REHEARSAL_VERBOSE")) {
    fprintf(stderr, "rehearsal: %s: %s\n", what, cudaGetErrorName(error));
    printBacktrace();
  }
  return error;
}

int missing(const char* name) {
  trace("missing\t%s", name);
  return cudaErrorNotSupported;  // the driver's number for it too
}

}  // namespace rehearsal

extern "C" {

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorNotSupported: return "cudaErrorNotSupported";
    case cudaErrorSymbolNotFound: return "cudaErrorSymbolNotFound";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated: return "cudaErrorStreamCaptureInvalidated";
    case cudaErrorStreamCaptureUnjoined: return "cudaErrorStreamCaptureUnjoined";
    case cudaErrorCapturedEvent: return "cudaErrorCapturedEvent";
    default: break;
  }
  static thread_local char number[40];
  snprintf(number, sizeof number, "CUDA error %d", error);
  return number;
}
const char* cudaGetErrorString(cudaError_t error) {
  // The words that libtorch and this backend look for.
  if (error == cudaErrorMemoryAllocation) return "out of memory";
  if (error == cudaErrorStreamCaptureUnsupported) return "operation not permitted when stream is capturing";
  return cudaGetErrorName(error);
}
cudaError_t cudaGetLastError() { return std::exchange(rehearsal::lastError, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return rehearsal::lastError; }
}
