#!/usr/bin/env python3
"""Compiles every kernel of native/device with NVRTC, which needs no GPU and no driver, and prints what each takes:
    python3 scripts/compile_kernels.py [--nvrtc /path/to/libnvrtc.so] [--arch sm_90]
Exits with 1 where one does not compile or spills registers beyond --spill bytes."""
import argparse
import ctypes
import glob
import os
import re
import sys

parser = argparse.ArgumentParser()
parser.add_argument("--nvrtc", help="default: the newest libnvrtc of this Python's packages or of the system")
parser.add_argument("--arch", default="sm_90")
parser.add_argument("--only", default="", help="kernels whose names contain this")
parser.add_argument("--spill", type=int, default=600, help="heads of 80 at 16 frames do not fit the registers")
args = parser.parse_args()

found = [p for root in sys.path for p in glob.glob(os.path.join(root, "nvidia", "*", "lib", "libnvrtc.so.*"))]
path = args.nvrtc or (sorted(found)[-1] if found else "libnvrtc.so")
# NVRTC looks for this one by name, which finds it once it is loaded.
for builtins in glob.glob(os.path.join(os.path.dirname(path), "libnvrtc-builtins.so.*")):
    ctypes.CDLL(builtins, mode=ctypes.RTLD_GLOBAL)
nvrtc = ctypes.CDLL(path)
folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "native", "device")
names = ["portable.h", "thread.h", "philox.h", "group_norm.h", "layer_norm.h", "column_sum.h",
         "temporal_attention.h", "geglu.h", "alpha_mix.h", "adamw.h"]
texts = [open(os.path.join(folder, name)).read() for name in names]

kernels = {"PhiloxNormals": 256, "AdamWSquares": 256, "AdamWNorm": 256, "AdamWUpdate": 256, "GroupNormGradSums": 256,
           "GroupNormGradGroups": 32, "AlphaMixFactorGrad": 256, "ColumnTotals": 256}
for x, vectors in (("float", (4, 2, 1)), ("Bf16", (8, 4, 2, 1))):
    kernels["GroupNormStats<%s>" % x] = 32
    for v in vectors:
        kernels["ColumnSums<%s,%d>" % (x, v)] = 256
        for threads in (256, 640, 768):  # the last two: many channels
            kernels["GroupNormPartial<%s,%d>" % (x, v), threads] = threads
            kernels["GroupNormApply<%s,%d>" % (x, v), threads] = threads
            for d in ("float", "Bf16"):
                kernels["GroupNormGradPartial<%s,%s,%d>" % (x, d, v), threads] = threads
                kernels["GroupNormGradApply<%s,%s,%d>" % (x, d, v), threads] = threads
                kernels["LayerNormColumns<%s,%s,%d>" % (x, d, v), threads] = threads
        for name, threads in (("LayerNorm", 128), ("Geglu", 256), ("AlphaMix", 256)):
            kernels["%sForward<%s,%d>" % (name, x, v)] = threads
            for d in ("float", "Bf16"):
                kernels["%sBackward<%s,%s,%d>" % (name, x, d, v)] = threads
for x in ("float", "Bf16"):  # frames, channels a thread, threads, as by_kernels.cc chooses them for heads of 40, 64 and 80
    for t, v, l in ((8, 8, 8), (8, 8, 16), (16, 4, 16), (16, 4, 32), (24, 2, 32)):
        kernels["TemporalForward<%s,%d,%d,%d>" % (x, t, v, l)] = 128
    for t, v, l in ((8, 4, 16), (8, 4, 32), (16, 2, 32), (16, 4, 32), (24, 2, 32)):
        kernels["TemporalBackward<%s,%s,%d,%d,%d>" % (x, x, t, v, l)] = 128


def array(strings):
    return (ctypes.c_char_p * len(strings))(*[s.encode() for s in strings])


def compile_kernel(kernel, threads):
    program = "".join('#include "%s"\n' % name for name in names) + (
        'using namespace tfjs_torch;\nextern "C" __global__ void __launch_bounds__(%d) entry(const %s kernel) {\n'
        "  extern __shared__ __align__(16) char memory[];\n  Thread at;\n  at.shared = reinterpret_cast<float*>(memory);\n"
        "  kernel(at);\n}\n" % (threads, kernel))
    handle = ctypes.c_void_p()
    nvrtc.nvrtcCreateProgram(ctypes.byref(handle), program.encode(), b"entry.cu", len(names), array(texts), array(names))
    options = ["--gpu-architecture=" + args.arch, "--std=c++17", "--device-as-default-execution-space", "--ptxas-options=-v"]
    if kernel == "PhiloxNormals":
        options.append("--fmad=false")
    failed = nvrtc.nvrtcCompileProgram(handle, len(options), array(options))
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(handle, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(handle, log)
    nvrtc.nvrtcGetCUBINSize(handle, ctypes.byref(size))
    return failed, log.value.decode(), size.value


bad = count = 0
for key, threads in kernels.items():
    kernel = key[0] if isinstance(key, tuple) else key
    if args.only not in kernel:
        continue
    failed, log, size = compile_kernel(kernel, threads)
    registers = re.search(r"Used (\d+) registers", log)
    spills = [int(n) for n in re.findall(r"(\d+) bytes spill", log)]
    print("%-40s %5d threads  %4s registers  %4d bytes spilled  %6d bytes of code" % (
        kernel, threads, registers.group(1) if registers else "?", sum(spills), size), flush=True)
    if failed or not registers:
        print(log)
    count += 1
    bad += bool(failed) or sum(spills) > args.spill
print("%s, %s: %d kernels, %d not as they should be" % (path, args.arch, count, bad))
sys.exit(bad > 0)
