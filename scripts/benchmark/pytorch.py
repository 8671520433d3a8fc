#!/usr/bin/env python3
"""PyTorch's side of the benchmark: loads case.json, weights.safetensors and batch.safetensors from a folder, then answers each
line `steps N` on standard input with one line of JSON: milliseconds (by the clock, and of processors) and losses of N training steps (temporal layers trained,
everything spatial frozen, AdamW). Started by against_pytorch.ts and gpu.ts."""
import argparse
import contextlib
import json
import os
import sys
import time

import torch
import torch.nn.functional as F

from unet import UNet, load_safetensors

parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("--threads", type=int, default=0, help="0: torch's own choice")
parser.add_argument("--device", default="cpu")
parser.add_argument("--precision", choices=["fp32", "tf32", "bf16"], default="fp32")
parser.add_argument("--layout", choices=["channels_last", "contiguous"], default="channels_last")
parser.add_argument("--variant", choices=["eager", "graph", "compile"], default="eager")
args = parser.parse_args()
device = torch.device(args.device)
cuda = device.type == "cuda"
if args.threads:
    torch.set_num_threads(args.threads)
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = args.precision != "fp32"
torch.backends.cudnn.benchmark = cuda

with open(os.path.join(args.folder, "case.json")) as file:
    case = json.load(file)
config = dict(case["unet"], channelsLast=args.layout == "channels_last")
weights = load_safetensors(os.path.join(args.folder, "weights.safetensors"))
if int(torch.__version__.split(".")[0]) >= 2:
    with torch.device("meta"):  # drawing initial values that are replaced takes longer than the steps
        model = UNet(config)
    model.load_state_dict(weights, assign=True)
else:
    model = UNet(config)
    model.load_state_dict(weights)
del weights
model.to(device)
if args.layout == "channels_last":
    for p in model.parameters():
        if p.dim() == 4:
            p.data = p.data.contiguous(memory_format=torch.channels_last)
trained = []
for name, p in model.named_parameters():
    temporal = any(part.startswith("temporal_") or part in ("time_mixer", "time_pos_embed") for part in name.split("."))
    p.requires_grad_(temporal)
    if temporal:
        trained.append(p)
    elif args.precision == "bf16":
        p.data = p.data.to(torch.bfloat16)  # what autocast would cast at every use
o = case["optimizer"]
options = dict(lr=o["learningRate"], betas=(o["beta1"], o["beta2"]), eps=o["epsilon"], weight_decay=o["weightDecay"])
options.update(dict(fused=True, capturable=True) if cuda else dict(foreach=True))
optimizer = torch.optim.AdamW(trained, **options)
batch = {name: x.to(device) for name, x in load_safetensors(os.path.join(args.folder, "batch.safetensors")).items()}
net = torch.compile(model, dynamic=False) if args.variant == "compile" else model


def train_step():
    optimizer.zero_grad(set_to_none=True)
    # No weight is used twice in a forward pass, so autocast's cache has nothing to give.
    low = args.precision == "bf16"
    context = torch.autocast(device.type, torch.bfloat16, cache_enabled=False) if low else contextlib.nullcontext()
    with context:
        predicted = net(batch["latents"], batch["timesteps"], batch["context"])
    loss = F.mse_loss(predicted.float(), batch["target"])
    loss.backward()
    optimizer.step()
    return loss.detach()


def graphed():
    """The same step as one CUDA graph; the three steps of its warm-up count as steps."""
    first, side = [], torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            first.append(float(train_step()))
    torch.cuda.current_stream().wait_stream(side)
    optimizer.zero_grad(set_to_none=True)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = train_step()

    def replay():
        if first:
            return first.pop(0)
        graph.replay()
        return out
    return replay


run = graphed() if args.variant == "graph" else train_step
print(json.dumps({"ready": True, "engine": "pytorch", "version": torch.__version__, "threads": torch.get_num_threads(),
                  "device": torch.cuda.get_device_name(0) if cuda else "cpu", "precision": args.precision,
                  "layout": args.layout, "variant": args.variant,
                  "trained": sum(p.numel() for p in trained)}), flush=True)
for line in sys.stdin:
    times, processor, losses = [], [], []
    for _ in range(int(line.split()[1])):
        start, used = time.perf_counter(), time.process_time()
        losses.append(float(run()))
        times.append((time.perf_counter() - start) * 1000)
        processor.append((time.process_time() - used) * 1000)
    peak = torch.cuda.max_memory_allocated() if cuda else 0
    print(json.dumps({"ms": times, "cpuMs": processor, "losses": losses, "peakBytes": peak}), flush=True)
