"""The same UNet in PyTorch, as its users write it, exported by PyTorch's own exporter: what our files are measured against.

python3 pytorch_unet.py FOLDER reads FOLDER/{config,inputs}.json, weights.safetensors and the inputs' raw values, and writes
FOLDER/pytorch.onnx (opset 17) and FOLDER/pytorch.raw, PyTorch's own output. Channels first: latents [B,T,C,H,W] or [B,C,H,W].
"""
import json
import math
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F


class TimestepEmbedding(nn.Module):
    def __init__(self, inputs, hidden, outputs):
        super().__init__()
        self.linear_1 = nn.Linear(inputs, hidden)
        self.linear_2 = nn.Linear(hidden, outputs)

    def forward(self, x):
        return self.linear_2(F.silu(self.linear_1(x)))


def sinusoid(times, dim):
    half = dim // 2
    frequencies = torch.exp(-math.log(10000) * torch.arange(half, dtype=torch.float32) / half)
    angles = times[:, None].float() * frequencies[None]
    return torch.cat([torch.cos(angles), torch.sin(angles)], dim=-1)


class ResnetBlock2D(nn.Module):
    def __init__(self, inputs, outputs, embedding, groups, eps):
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, inputs, eps=eps)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.time_emb_proj = nn.Linear(embedding, outputs)
        self.norm2 = nn.GroupNorm(groups, outputs, eps=eps)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x, emb):
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.time_emb_proj(emb)[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        return (x if self.conv_shortcut is None else self.conv_shortcut(x)) + h


class TemporalResnetBlock(nn.Module):
    def __init__(self, channels, embedding, groups, eps):
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, channels, eps=eps)
        self.conv1 = nn.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0))
        self.time_emb_proj = nn.Linear(embedding, channels)
        self.norm2 = nn.GroupNorm(groups, channels, eps=eps)
        self.conv2 = nn.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0))

    def forward(self, x, emb):  # x [B,C,T,H,W], emb [B,T,E]
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.time_emb_proj(emb)[:, :, :, None, None].permute(0, 2, 1, 3, 4)
        return x + self.conv2(F.silu(self.norm2(h)))


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix_factor = nn.Parameter(torch.zeros(1))

    def forward(self, spatial, temporal):
        alpha = torch.sigmoid(self.mix_factor)
        return alpha * spatial + (1.0 - alpha) * temporal


class SpatioTemporalResBlock(ResnetBlock2D):
    def __init__(self, inputs, outputs, embedding, groups, eps, temporal):
        super().__init__(inputs, outputs, embedding, groups, eps)
        if temporal:
            self.temporal_res_block = TemporalResnetBlock(outputs, embedding, groups, eps)
            self.time_mixer = Mixer()

    def forward(self, x, emb, frames):
        h = super().forward(x, emb)
        if frames is None:
            return h
        n, c, height, width = h.shape
        clip = h.reshape(n // frames, frames, c, height, width).permute(0, 2, 1, 3, 4)
        moved = self.temporal_res_block(clip, emb.reshape(n // frames, frames, -1))
        return self.time_mixer(clip, moved).permute(0, 2, 1, 3, 4).reshape(n, c, height, width)


class Attention(nn.Module):
    def __init__(self, channels, heads, context=None):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(context or channels, channels, bias=False)
        self.to_v = nn.Linear(context or channels, channels, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x, context=None):
        context = x if context is None else context
        n, length, c = x.shape
        size = c // self.heads
        split = lambda t: t.reshape(n, -1, self.heads, size).permute(0, 2, 1, 3)
        q, k, v = split(self.to_q(x)), split(self.to_k(context)), split(self.to_v(context))
        weights = torch.softmax(q @ k.transpose(-1, -2) * size**-0.5, dim=-1)
        return self.to_out[0]((weights @ v).permute(0, 2, 1, 3).reshape(n, length, c))


class GEGLU(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.proj = nn.Linear(channels, 8 * channels)

    def forward(self, x):
        h, gate = self.proj(x).chunk(2, dim=-1)
        return h * F.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.net = nn.ModuleList([GEGLU(channels), nn.Identity(), nn.Linear(4 * channels, channels)])

    def forward(self, x):
        for layer in self.net:
            x = layer(x)
        return x


class TransformerBlock(nn.Module):
    def __init__(self, channels, heads, context):
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn1 = Attention(channels, heads)
        if context:
            self.norm2 = nn.LayerNorm(channels)
            self.attn2 = Attention(channels, heads, context)
        self.norm3 = nn.LayerNorm(channels)
        self.ff = FeedForward(channels)

    def forward(self, x, context):
        x = x + self.attn1(self.norm1(x))
        if context is not None:
            x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class TemporalTransformerBlock(TransformerBlock):
    def __init__(self, channels, heads, context):
        super().__init__(channels, heads, context)
        self.norm_in = nn.LayerNorm(channels)
        self.ff_in = FeedForward(channels)

    def forward(self, x, context):
        return super().forward(x + self.ff_in(self.norm_in(x)), context)


class Transformer(nn.Module):
    def __init__(self, channels, heads, context, groups, temporal):
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(channels, heads, context)])
        if temporal:
            self.temporal_transformer_blocks = nn.ModuleList([TemporalTransformerBlock(channels, heads, context)])
            self.time_pos_embed = TimestepEmbedding(channels, 4 * channels, channels)
            self.time_mixer = Mixer()
        self.proj_out = nn.Linear(channels, channels)

    def forward(self, x, context, frames):
        n, c, height, width = x.shape
        places = height * width
        h = self.norm(x).permute(0, 2, 3, 1).reshape(n, places, c)
        h = self.transformer_blocks[0](self.proj_in(h), context)
        if frames is not None:
            b = n // frames
            positions = self.time_pos_embed(sinusoid(torch.arange(frames), c))
            moved = h.reshape(b, frames, places, c) + positions[None, :, None]
            moved = moved.permute(0, 2, 1, 3).reshape(b * places, frames, c)
            text = None
            if context is not None:
                text = context.reshape(b, frames, *context.shape[1:])[:, 0]
                text = text[:, None].expand(b, places, *text.shape[1:]).reshape(b * places, *text.shape[1:])
            moved = self.temporal_transformer_blocks[0](moved, text)
            h = self.time_mixer(h, moved.reshape(b, places, frames, c).permute(0, 2, 1, 3).reshape(n, places, c))
        return x + self.proj_out(h).reshape(n, height, width, c).permute(0, 3, 1, 2)


class Down(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x):
        return self.conv(x)


class Up(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Stage(nn.Module):
    def __init__(self, pairs, make, attend, down=None, up=None):
        super().__init__()
        self.resnets = nn.ModuleList([make(*pair) for pair in pairs])
        if attend:
            self.attentions = nn.ModuleList([attend() for _ in pairs])
        if down:
            self.downsamplers = nn.ModuleList([down])
        if up:
            self.upsamplers = nn.ModuleList([up])

    def step(self, i, x, emb, context, frames):
        x = self.resnets[i](x, emb, frames)
        return self.attentions[i](x, context, frames) if hasattr(self, "attentions") else x


class Middle(nn.Module):
    def __init__(self, resnets, attention):
        super().__init__()
        self.resnets = nn.ModuleList(resnets)
        self.attentions = nn.ModuleList([attention])

    def forward(self, x, emb, context, frames):
        x = self.resnets[0](x, emb, frames)
        return self.resnets[1](self.attentions[0](x, context, frames), emb, frames)


class UNet(nn.Module):
    def __init__(self, config):
        super().__init__()
        channels, groups, layers = config["channels"], config["normGroups"], config["layersPerBlock"]
        text, temporal = config.get("crossAttentionDim"), config.get("temporal")
        heads = config["heads"]
        finest, embedding = channels[0], 4 * channels[0]
        self.finest = finest
        self.conv_in = nn.Conv2d(config["inChannels"], finest, 3, padding=1)
        self.time_embedding = TimestepEmbedding(finest, embedding, embedding)
        resnet = lambda a, b: SpatioTemporalResBlock(a, b, embedding, groups, 1e-5, temporal)

        def transformer(level):
            c = channels[level]
            return Transformer(c, heads["count"] if "count" in heads else c // heads["dim"], text, groups, temporal)

        last = len(channels) - 1
        self.down_blocks = nn.ModuleList()
        for level, c in enumerate(channels):
            before = channels[level - 1] if level else finest
            pairs = [(before if i == 0 else c, c) for i in range(layers)]
            attend = (lambda level=level: transformer(level)) if config["attention"][level] else None
            self.down_blocks.append(Stage(pairs, resnet, attend, down=Down(c) if level < last else None))
        c = channels[last]
        self.mid_block = Middle([resnet(c, c), resnet(c, c)], transformer(last))
        self.up_blocks = nn.ModuleList()
        for level in reversed(range(len(channels))):
            c = channels[level]
            skips = [c] * layers + [channels[level - 1] if level else finest]
            below = channels[level + 1] if level < last else c
            pairs = [((below if i == 0 else c) + skip, c) for i, skip in enumerate(skips)]
            attend = (lambda level=level: transformer(level)) if config["attention"][level] else None
            self.up_blocks.append(Stage(pairs, resnet, attend, up=Up(c) if level else None))
        self.conv_norm_out = nn.GroupNorm(groups, finest, eps=1e-5)
        self.conv_out = nn.Conv2d(finest, config["outChannels"], 3, padding=1)

    def forward(self, latents, timesteps, context=None):
        video = latents.dim() == 5
        frames = latents.shape[1] if video else None
        emb = F.silu(self.time_embedding(sinusoid(timesteps, self.finest)))
        x = latents
        if video:
            x = latents.flatten(0, 1)
            emb = emb.repeat_interleave(frames, dim=0)
            context = None if context is None else context.repeat_interleave(frames, dim=0)
        x = self.conv_in(x)
        skips = [x]
        for stage in self.down_blocks:
            for i in range(len(stage.resnets)):
                x = stage.step(i, x, emb, context, frames)
                skips.append(x)
            if hasattr(stage, "downsamplers"):
                x = stage.downsamplers[0](x)
                skips.append(x)
        x = self.mid_block(x, emb, context, frames)
        for stage in self.up_blocks:
            for i in range(len(stage.resnets)):
                x = stage.step(i, torch.cat([x, skips.pop()], dim=1), emb, context, frames)
            if hasattr(stage, "upsamplers"):
                x = stage.upsamplers[0](x)
        x = self.conv_out(F.silu(self.conv_norm_out(x)))
        return x.reshape(*latents.shape[:2], *x.shape[1:]) if video else x


def read_safetensors(path):
    data = bytearray(Path(path).read_bytes())
    length = int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(bytes(data[8 : 8 + length])).items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        raw = data[8 + length + begin : 8 + length + end]
        tensors[name] = torch.frombuffer(raw, dtype=torch.float32).reshape(entry["shape"])
    return tensors


def main(folder):
    torch.manual_seed(0)
    config = json.loads((folder / "config.json").read_text())
    model = UNet(config)
    weights = read_safetensors(folder / "weights.safetensors")
    # A projection is a linear layer here and may be a 1x1 convolution in the file.
    own = model.state_dict()
    model.load_state_dict({k: v.reshape(own[k].shape) if k in own else v for k, v in weights.items()})
    model.eval()
    names, given = [], []
    for name, shape in json.loads((folder / "inputs.json").read_text()).items():
        names.append(name)
        raw = bytearray((folder / f"{name}.raw").read_bytes())
        given.append(torch.frombuffer(raw, dtype=torch.float32).reshape(shape))
    with torch.no_grad():
        output = model(*given)
        torch.onnx.export(
            model, tuple(given), str(folder / "pytorch.onnx"), input_names=names, output_names=["prediction"], opset_version=17
        )
    (folder / "pytorch.raw").write_bytes(output.contiguous().numpy().tobytes())
    print(f"PyTorch {torch.__version__}: {sum(p.numel() for p in model.parameters())} parameters")


main(Path(sys.argv[1]))
