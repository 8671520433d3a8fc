// Tensors in and out: upload, read (blocking or on a thread of its own), views, in-place copies, and what the engine is.
#include "ops.h"

#include <condition_variable>
#include <mutex>

#include <ATen/Context.h>
#include <ATen/Version.h>

#include "../host_allocator.h"
#include "../device/launch.h"
#include "../stream.h"
#include "../threads.h"
#include "precision.h"
#include "prepared.h"

#ifdef TFJS_TORCH_CUDA
#include <c10/cuda/CUDACachingAllocator.h>
#endif

namespace tfjs_torch {

static Precision chosen = Precision::fp32;
Precision precision() { return chosen; }
void setPrecision(Precision precision) {
  chosen = precision;
  at::globalContext().setAllowTF32CuBLAS(precision != Precision::fp32);
  at::globalContext().setAllowTF32CuDNN(precision != Precision::fp32);
}

namespace {

size_t bytesPerElement(napi_typedarray_type type) {
  switch (type) {
    case napi_float32_array:
    case napi_int32_array:
    case napi_uint32_array: return 4;
    case napi_uint8_array:
    case napi_uint8_clamped_array:
    case napi_int8_array: return 1;
    default: argumentError("a Float32Array, Int32Array or Uint8Array");
  }
}
at::ScalarType hostType(Dtype dtype, napi_typedarray_type type) {
  const size_t width = bytesPerElement(type);
  if (dtype == Dtype::boolean && width == 1) return at::kByte;
  if (dtype != Dtype::boolean && width == 4) return scalarType(dtype);
  argumentError(dtype == Dtype::boolean ? "a Uint8Array for bool" : "an array of 4-byte elements for this dtype");
}

// Uploads up to this size go through pinned memory: they are queued behind what the device is doing, and the thread goes on.
// The allocator keeps the memory until the copy is done, then for the next upload.
constexpr size_t mostPinned = size_t{64} << 20;

Tensor upload(Call& call, const HostBytes& values, const Ints& shape, Dtype dtype) {
  const at::ScalarType type = hostType(dtype, values.type);
  int64_t size = dtype == Dtype::complex64 ? 2 : 1;
  for (int64_t extent : shape) size *= extent;
  TORCH_CHECK(static_cast<size_t>(size) == values.length, "shape ", at::IntArrayRef(shape), " wants ", size, " values, got ",
              values.length);
  const size_t bytes = values.length * bytesPerElement(values.type);
  const bool pinned = !call.state.device.is_cpu() && bytes <= mostPinned;
  Tensor host = at::empty(shape, at::TensorOptions().dtype(type).pinned_memory(pinned));
  std::memcpy(host.data_ptr(), values.data, bytes);
  Tensor there = call.state.device.is_cpu() ? host : host.to(call.state.device, host.scalar_type(), /*non_blocking=*/pinned);
  return dtype == Dtype::boolean ? at::ne(there, 0) : there;
}

// As a typed array holds it: float32, int32, bytes, or interleaved complex.
Tensor asHostType(const Tensor& x) {
  return x.scalar_type() == at::kBFloat16 || x.scalar_type() == at::kHalf ? x.to(at::kFloat) : x;
}
void copyBytes(const Tensor& host, const HostBytes& into) {
  const size_t bytes = into.length * bytesPerElement(into.type);
  TORCH_CHECK(static_cast<size_t>(host.nbytes()) == bytes, "read: the tensor has ", host.nbytes(), " bytes, the array ", bytes);
  std::memcpy(into.data, host.data_ptr(), bytes);
}
void read(const Tensor& x, const HostBytes& into) { copyBytes(asHostType(x).to(at::kCPU).contiguous(), into); }

// Reads of tensors on the CPU, and of large ones of a GPU, that are under way in this process; what is written in place waits for them.
std::mutex readMutex;
std::condition_variable readDone;
int readsUnderWay = 0;
void finishReads(Call&) {
  std::unique_lock<std::mutex> lock(readMutex);
  readDone.wait(lock, [] { return readsUnderWay == 0; });
}
void readFinished() {
  std::lock_guard<std::mutex> lock(readMutex);
  readsUnderWay--;
  readDone.notify_all();
}

// A read on a thread of its own. A GPU's tensor of up to `mostPinned` bytes is copied in the order of its stream, before anything that
// writes to it later, and the thread waits for that copy alone: the caller goes on giving the GPU work.
struct PendingRead {
  napi_async_work work;
  napi_deferred deferred;
  napi_ref array;
  Tensor tensor;
  Stream stream;
  Tensor pinned;
  Mark copied;
  HostBytes into;
  std::string error;
};
void executeRead(napi_env, void* data) {
  auto& pending = *static_cast<PendingRead*>(data);
  try {
    c10::InferenceMode guard;
    if (pending.pinned.defined()) {
      pending.copied.wait();
      copyBytes(pending.pinned, pending.into);
    } else {
      const OnStream on(pending.stream);
      read(pending.tensor, pending.into);
    }
  } catch (const std::exception& error) {
    pending.error = error.what();
  }
  if (!pending.pinned.defined()) {
    pending.tensor = Tensor();
    readFinished();
  }
}
void queueCopy(PendingRead& pending, const Tensor& x) {
  c10::InferenceMode guard;
  const Tensor given = asHostType(x);
  pending.pinned = at::empty(given.sizes(), given.options().device(at::kCPU).pinned_memory(true));
  pending.pinned.copy_(given, /*non_blocking=*/true);
  pending.copied.set();
}
void completeRead(napi_env env, napi_status status, void* data) {
  std::unique_ptr<PendingRead> pending(static_cast<PendingRead*>(data));
  napi_value value;
  if (status == napi_ok && pending->error.empty()) {
    napi_get_reference_value(env, pending->array, &value);
    napi_resolve_deferred(env, pending->deferred, value);
  } else {
    napi_value message;
    const std::string text = pending->error.empty() ? "the read was cancelled" : pending->error;
    napi_create_string_utf8(env, text.c_str(), text.size(), &message);
    napi_create_error(env, nullptr, message, &value);
    napi_reject_deferred(env, pending->deferred, value);
  }
  napi_delete_reference(env, pending->array);
  napi_delete_async_work(env, pending->work);
}
// (handle, typed array) -> a promise of the filled array
napi_value readAsync(napi_env env, napi_callback_info info) {
  napi_value argv[2] = {}, promise = nullptr, name;
  size_t argc = 2;
  void* data = nullptr;
  napi_get_cb_info(env, info, &argc, argv, nullptr, &data);
  Call call{env, *static_cast<State*>(data)};
  try {
    auto pending = std::make_unique<PendingRead>();
    const Tensor x = Arg<Tensor>::from(call, argv[0]);
    pending->into = Arg<HostBytes>::from(call, argv[1]);
    pending->stream = currentStream(call.state.device);
    checkNapi(napi_create_reference(env, argv[1], 1, &pending->array), "the array");
    checkNapi(napi_create_promise(env, &pending->deferred, &promise), "a promise");
    napi_create_string_utf8(env, "tfjs-backend-torch read", NAPI_AUTO_LENGTH, &name);
    checkNapi(napi_create_async_work(env, nullptr, name, executeRead, completeRead, pending.get(), &pending->work), "work");
    const bool queued = x.is_cuda() && x.nbytes() <= mostPinned;
    if (queued) {
      queueCopy(*pending, x);
    } else {
      pending->tensor = x;
      std::lock_guard<std::mutex> lock(readMutex);
      readsUnderWay++;
    }
    if (napi_queue_async_work(env, pending->work) != napi_ok) {
      if (!queued) readFinished();
      argumentError("a free place in the work queue");
    }
    pending.release();
  } catch (...) {
    throwAsJavaScript(env);
    return nullptr;
  }
  return promise;
}

// The same storage under another shape of the same size: the one result that shares memory on purpose.
double view(Call& call, const Tensor& x, const Ints& shape) { return call.state.table.add(x.view(shape)); }
void release(Call& call, int64_t handle) {
  releaseCopies(call.state.table.get(static_cast<uint32_t>(handle)));
  call.state.table.release(static_cast<uint32_t>(handle));
}
Tensor clone(const Tensor& x) { return x.clone(); }
// Overwrites `target`'s values; its storage stays where it is.
void assign(Call&, const Tensor& target, const Tensor& source) {
  TORCH_CHECK(target.numel() == source.numel(), "assign: ", target.sizes(), " cannot take the values of ", source.sizes());
  const Tensor to = target;
  forgetCopies(to);
  to.copy_(source.view(target.sizes()));
}

std::vector<double> shapeOf(const Tensor& x) { return std::vector<double>(x.sizes().begin(), x.sizes().end()); }

// allocated, reserved, peak
std::vector<double> memory(Call& call) {
#ifdef TFJS_TORCH_CUDA
  if (call.state.device.is_cuda()) {
    const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(call.state.device.index());
    const auto& allocated = stats.allocated_bytes[0];
    return {static_cast<double>(allocated.current), static_cast<double>(stats.reserved_bytes[0].current),
            static_cast<double>(allocated.peak)};
  }
#endif
  const MemoryStats stats = hostMemory();
  return {static_cast<double>(stats.allocated), static_cast<double>(stats.reserved), static_cast<double>(stats.peak)};
}
void resetPeak(Call& call) {
#ifdef TFJS_TORCH_CUDA
  if (call.state.device.is_cuda()) c10::cuda::CUDACachingAllocator::resetPeakStats(call.state.device.index());
#endif
  resetHostPeak();
}
void emptyCache(Call& call, int64_t most) {
#ifdef TFJS_TORCH_CUDA
  if (call.state.device.is_cuda()) c10::cuda::CUDACachingAllocator::emptyCache();
#endif
  emptyHostCache(most);
}
double weightCopies(Call&) { return static_cast<double>(copiesMade()); }
double live(Call& call) { return call.state.table.live(); }
void threads(Call&, int64_t intraOp, int64_t blas) { setThreads(intraOp, blas); }
std::vector<double> threadCounts(Call&) { return {static_cast<double>(intraOpThreads()), static_cast<double>(blasThreads())}; }
void policy(Call&, int64_t code) {
  if (code < 0 || code > 2) argumentError("a precision code from 0 to 2");
  setPrecision(static_cast<Precision>(code));
}
void emulateKernels(Call&, bool on, std::optional<double> seed) {
  setEmulating(on ? std::optional<uint64_t>(static_cast<uint64_t>(seed.value_or(0))) : std::nullopt);
}
std::string device(Call& call) { return call.state.device.str(); }
bool cudaBuilt(Call&) { return at::hasCUDA(); }
std::string configuration(Call&) { return at::show_config(); }

}  // namespace

void exportStorage(Exports& exports) {
  exports.insert(exports.end(), {
      bind<upload>("upload"),
      bind<read>("read"),
      {"readAsync", &readAsync},
      bind<finishReads>("finishReads"),
      bind<view>("view"),
      bind<release>("release"),
      bind<clone>("clone"),
      bind<assign>("assign"),
      bind<shapeOf>("shapeOf"),
      bind<memory>("memory"),
      bind<resetPeak>("resetPeak"),
      bind<emptyCache>("emptyCache"),
      bind<live>("live"),
      bind<weightCopies>("weightCopies"),
      bind<threads>("threads"),
      bind<threadCounts>("threadCounts"),
      bind<policy>("policy"),
      bind<emulateKernels>("emulateKernels"),
      bind<device>("device"),
      bind<cudaBuilt>("cudaBuilt"),
      bind<configuration>("configuration"),
  });
}

}  // namespace tfjs_torch
