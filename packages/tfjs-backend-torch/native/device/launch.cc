// NVRTC and the driver are loaded at first use, through the library that libtorch itself loads them with: neither is linked.
#include "launch.h"

#include <c10/util/Exception.h>

#ifdef TFJS_TORCH_CUDA
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <sstream>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

#include <ATen/cuda/CUDAContext.h>
#include <cuda.h>
#include <dlfcn.h>
#include <nvrtc.h>
#endif

namespace tfjs_torch {
namespace {
std::optional<uint64_t> emulatingNow;
}
std::optional<uint64_t> emulating() { return emulatingNow; }
void setEmulating(std::optional<uint64_t> seed) { emulatingNow = seed; }

#ifndef TFJS_TORCH_CUDA
void launchOnDevice(const std::string& type, void*, LaunchShape) {
  TORCH_CHECK(false, "the kernel ", type, " needs a build for CUDA");
}
void openCompiler() {}
#else
namespace {

struct Source {
  const char *name, *text;
};
// {"thread.h", "..."} and so on, written by CMakeLists.txt.
const Source sources[] = {
#include "kernel_sources.inc"
};

struct Libraries {
#define TFJS_FUNCTIONS(F)                                                                                              \
  F(nvrtcCreateProgram) F(nvrtcCompileProgram) F(nvrtcDestroyProgram) F(nvrtcGetCUBINSize) F(nvrtcGetCUBIN)            \
  F(nvrtcGetPTXSize) F(nvrtcGetPTX) F(nvrtcGetProgramLogSize) F(nvrtcGetProgramLog) F(nvrtcGetErrorString)             \
  F(nvrtcVersion) F(nvrtcGetNumSupportedArchs) F(nvrtcGetSupportedArchs)                                               \
  F(cuModuleLoadData) F(cuModuleGetFunction) F(cuLaunchKernel) F(cuGetErrorString)
#define TFJS_MEMBER(name) decltype(&::name) name;
  TFJS_FUNCTIONS(TFJS_MEMBER)
  Libraries() {
    void* library = dlopen("libcaffe2_nvrtc.so", RTLD_NOW | RTLD_GLOBAL);
    TORCH_CHECK(library, "libcaffe2_nvrtc.so of libtorch does not load: ", dlerror());
#define TFJS_FIND(name)                                            \
  this->name = reinterpret_cast<decltype(&::name)>(dlsym(library, #name)); \
  TORCH_CHECK(this->name, "NVRTC and the CUDA driver have no " #name);
    TFJS_FUNCTIONS(TFJS_FIND)
    loadBuiltins();
  }
  // NVRTC looks for its other half by name, which finds it once it is loaded: it lies beside NVRTC.
  void loadBuiltins() const {
    int major = 0, minor = 0;
    Dl_info place;
    if (nvrtcVersion(&major, &minor) != NVRTC_SUCCESS || !dladdr(reinterpret_cast<void*>(nvrtcVersion), &place)) return;
    const std::string path(place.dli_fname), name = "libnvrtc-builtins.so." + std::to_string(major) + "." + std::to_string(minor);
    dlopen((path.substr(0, path.find_last_of('/') + 1) + name).c_str(), RTLD_NOW | RTLD_GLOBAL);
  }
};
const Libraries& libraries() {
  static const Libraries loaded;
  return loaded;
}
void check(nvrtcResult result, const char* what) {
  TORCH_CHECK(result == NVRTC_SUCCESS, what, ": ", libraries().nvrtcGetErrorString(result));
}
void check(CUresult result, const std::string& what) {
  const char* text = "unknown";
  if (result != CUDA_SUCCESS) libraries().cuGetErrorString(result, &text);
  TORCH_CHECK(result == CUDA_SUCCESS, what, ": ", text);
}

// A kernel's name in the machine code, and so in a profile: its type, with _ for what no name may hold.
std::string entryOf(const std::string& type) {
  std::string name;
  for (const char c : type) {
    if (std::isalnum(static_cast<unsigned char>(c))) name += c;
    else if (!name.empty() && name.back() != '_') name += '_';
  }
  while (!name.empty() && name.back() == '_') name.pop_back();
  return "tfjs_" + name;
}

std::string programOf(const std::string& type, int threads) {
  std::ostringstream text;
  for (const Source& source : sources) text << "#include \"" << source.name << "\"\n";
  text << "using namespace tfjs_torch;\nextern \"C\" __global__ void __launch_bounds__(" << threads << ") " << entryOf(type) << "(const " << type << " kernel) {\n"
       << "  extern __shared__ __align__(16) char memory[];\n"
       << "  Thread at;\n  at.shared = reinterpret_cast<float*>(memory);\n  kernel(at);\n}\n";
  return text.str();
}

// Machine code for this GPU, or PTX of the newest architecture that this NVRTC knows where the GPU is newer.
std::string compile(const std::string& type, const std::string& program, int architecture) {
  const Libraries& lib = libraries();
  int count = 0;
  check(lib.nvrtcGetNumSupportedArchs(&count), "NVRTC");
  std::vector<int> known(count);
  check(lib.nvrtcGetSupportedArchs(known.data()), "NVRTC");
  const bool exact = std::find(known.begin(), known.end(), architecture) != known.end();
  const std::string target = exact ? "--gpu-architecture=sm_" + std::to_string(architecture)
                                   : "--gpu-architecture=compute_" + std::to_string(known.back());
  // Random numbers promise their bits: no multiply-adds in one.
  std::vector<const char*> options{target.c_str(), "--std=c++17", "--device-as-default-execution-space"};
  if (type == "PhiloxNormals") options.push_back("--fmad=false");
  std::vector<const char*> names, texts;
  for (const Source& source : sources) {
    names.push_back(source.name);
    texts.push_back(source.text);
  }
  nvrtcProgram handle;
  check(lib.nvrtcCreateProgram(&handle, program.c_str(), "entry.cu", static_cast<int>(names.size()), texts.data(), names.data()), "NVRTC");
  const nvrtcResult result = lib.nvrtcCompileProgram(handle, static_cast<int>(options.size()), options.data());
  size_t size = 0;
  if (result != NVRTC_SUCCESS) {
    lib.nvrtcGetProgramLogSize(handle, &size);
    std::string log(size, '\0');
    lib.nvrtcGetProgramLog(handle, log.data());
    lib.nvrtcDestroyProgram(&handle);
    TORCH_CHECK(false, "NVRTC does not compile ", type, ": ", log);
  }
  check(exact ? lib.nvrtcGetCUBINSize(handle, &size) : lib.nvrtcGetPTXSize(handle, &size), "NVRTC");
  std::string code(size, '\0');
  check(exact ? lib.nvrtcGetCUBIN(handle, code.data()) : lib.nvrtcGetPTX(handle, code.data()), "NVRTC");
  lib.nvrtcDestroyProgram(&handle);
  return code;
}

// Files under XDG_CACHE_HOME (or ~/.cache), named after all that the code depends on. Empty: no place to keep them.
std::string cacheFile(const std::string& key) {
  const char *cache = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
  if (!cache && !home) return "";
  std::string folder = cache ? cache : std::string(home) + "/.cache";
  for (const char* part : {"", "/tfjs-backend-torch"}) {
    folder += part;
    mkdir(folder.c_str(), 0700);
  }
  uint64_t hash = 14695981039346656037u;
  for (const char c : key) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  std::ostringstream name;
  name << folder << '/' << std::hex << hash << "-" << key.size() << ".bin";
  return name.str();
}
std::string readFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}
void writeFile(const std::string& path, const std::string& bytes) {
  const std::string temporary = path + "." + std::to_string(getpid());
  {
    std::ofstream file(temporary, std::ios::binary);
    file << bytes;
    if (!file.flush()) return;
  }
  std::rename(temporary.c_str(), path.c_str());
}

CUfunction functionOf(const std::string& type, int threads) {
  const Libraries& lib = libraries();
  const auto* properties = at::cuda::getCurrentDeviceProperties();
  const int architecture = properties->major * 10 + properties->minor;
  const std::string program = programOf(type, threads);
  int major = 0, minor = 0;
  check(lib.nvrtcVersion(&major, &minor), "NVRTC");
  std::string key = program + std::to_string(architecture) + " " + std::to_string(major) + "." + std::to_string(minor);
  for (const Source& source : sources) key += source.text;
  const std::string path = cacheFile(key);
  CUmodule module = nullptr;
  const std::string kept = path.empty() ? "" : readFile(path);
  if (kept.empty() || lib.cuModuleLoadData(&module, kept.data()) != CUDA_SUCCESS) {
    const std::string code = compile(type, program, architecture);
    check(lib.cuModuleLoadData(&module, code.data()), "loading " + type);
    if (!path.empty()) writeFile(path, code);
  }
  CUfunction function;
  check(lib.cuModuleGetFunction(&function, module, entryOf(type).c_str()), "finding " + type);
  return function;
}

}  // namespace

void openCompiler() { libraries(); }

void launchOnDevice(const std::string& type, void* kernel, LaunchShape shape) {
  static std::mutex mutex;
  static std::map<std::pair<std::string, int>, CUfunction> functions;
  CUfunction function;
  {
    std::lock_guard<std::mutex> lock(mutex);
    CUfunction& known = functions[{type, shape.threads}];
    if (!known) known = functionOf(type, shape.threads);
    function = known;
  }
  void* arguments[] = {kernel};
  check(libraries().cuLaunchKernel(function, static_cast<unsigned>(shape.blocks), 1, 1, shape.threads, 1, 1,
                                   static_cast<unsigned>(shape.sharedBytes), at::cuda::getCurrentCUDAStream().stream(),
                                   arguments, nullptr),
        "launching " + type);
}
#endif

}  // namespace tfjs_torch
