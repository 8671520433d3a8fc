"""The temporal-stage UNet of src/models/unet.ts in PyTorch: the same arithmetic under the same weight names, written as a
PyTorch user would write it. Needs torch 1.13 or newer and nothing else."""
import json
import math
import struct

import torch
import torch.nn as nn
import torch.nn.functional as F


def load_safetensors(path):
    """name -> float32 or int32 tensor"""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        tensors = {}
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            begin, end = entry["data_offsets"]
            file.seek(8 + length + begin)
            dtype = {"F32": torch.float32, "I32": torch.int32}[entry["dtype"]]
            tensors[name] = torch.frombuffer(bytearray(file.read(end - begin)), dtype=dtype).reshape(entry["shape"])
    return tensors


def attend(q, k, v):
    """(N, H, L, d) tensors of any strides"""
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, v)
    p = torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(-1, -2)).float().softmax(-1)
    return torch.matmul(p.to(v.dtype), v)


class GroupNorm(nn.GroupNorm):
    """With SiLU where asked; keeps the input's dtype under autocast."""

    def forward(self, x, silu=False):
        with torch.autocast(x.device.type, enabled=False):
            y = F.group_norm(x, self.num_groups, self.weight.to(x.dtype), self.bias.to(x.dtype), self.eps)
        return F.silu(y) if silu else y


class LayerNorm(nn.LayerNorm):
    """Keeps the input's dtype under autocast."""

    def forward(self, x):
        with torch.autocast(x.device.type, enabled=False):
            return F.layer_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.bias.to(x.dtype), self.eps)


def sinusoid(t, dim):
    half = dim // 2
    frequencies = torch.exp(-math.log(10000.0) * torch.arange(half, device=t.device, dtype=torch.float32) / half)
    angles = t.float()[:, None] * frequencies[None]
    return torch.cat([angles.cos(), angles.sin()], -1)


class TimestepEmbedding(nn.Module):
    def __init__(self, inputs, hidden, outputs):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(inputs, hidden), nn.Linear(hidden, outputs)

    def forward(self, x):
        return self.linear_2(F.silu(self.linear_1(x.to(self.linear_1.weight.dtype))))


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix_factor = nn.Parameter(torch.zeros(1))

    def forward(self, spatial, temporal):
        a = torch.sigmoid(self.mix_factor).to(spatial.dtype)
        return spatial * a + temporal * (1 - a)


def over_time(x, frames):
    """(B*T, C, h, w) channels last -> (B, C, T, h*w), the same memory."""
    n, c, h, w = x.shape
    return x.permute(0, 2, 3, 1).reshape(n // frames, frames, h * w, c).permute(0, 3, 1, 2)


def over_space(x, like):
    n, c, h, w = like.shape
    return x.permute(0, 2, 3, 1).reshape(n, h, w, c).permute(0, 3, 1, 2)


class TemporalConv(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, channels, 3, 1, 1))
        self.bias = nn.Parameter(torch.empty(channels))

    def forward(self, x):
        return F.conv2d(x, self.weight.squeeze(4), self.bias, padding=(1, 0))


class TemporalResBlock(nn.Module):
    def __init__(self, channels, embedding, groups):
        super().__init__()
        self.norm1, self.conv1 = GroupNorm(groups, channels), TemporalConv(channels)
        self.time_emb_proj = nn.Linear(embedding, channels)
        self.norm2, self.conv2 = GroupNorm(groups, channels), TemporalConv(channels)

    def forward(self, x, emb):
        h = self.conv1(self.norm1(x, silu=True)) + self.time_emb_proj(emb)[:, :, None, None]
        return x + self.conv2(self.norm2(h, silu=True))


class ResBlock(nn.Module):
    def __init__(self, inputs, outputs, embedding, groups):
        super().__init__()
        self.norm1, self.conv1 = GroupNorm(groups, inputs), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.time_emb_proj = nn.Linear(embedding, outputs)
        self.norm2, self.conv2 = GroupNorm(groups, outputs), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None
        self.temporal_res_block, self.time_mixer = TemporalResBlock(outputs, embedding, groups), Mixer()

    def forward(self, x, emb, frames):
        e = self.time_emb_proj(emb)[:, None].expand(-1, frames, -1).flatten(0, 1)
        h = self.conv1(self.norm1(x, silu=True)) + e[:, :, None, None]
        h = self.conv2(self.norm2(h, silu=True))
        x = h + (x if self.conv_shortcut is None else self.conv_shortcut(x))
        clip = over_time(x, frames)
        return over_space(self.time_mixer(clip, self.temporal_res_block(clip, emb)), x)


class Attention(nn.Module):
    def __init__(self, channels, heads, context=None):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(context or channels, channels, bias=False)
        self.to_v = nn.Linear(context or channels, channels, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def split(self, x):
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x, context=None):
        """x (N, L, C); context (B, M, D), B dividing N"""
        source = x if context is None else context
        q = self.to_q(x).reshape(source.shape[0], -1, x.shape[-1])
        y = attend(self.split(q), self.split(self.to_k(source)), self.split(self.to_v(source)))
        return self.to_out[0](y.transpose(1, 2).reshape(x.shape))

    def over_time(self, x):
        """x (B, T, S, C): pixels are folded into the heads, which is a view."""
        b, t, s, c = x.shape
        q, k, v = (f(x).view(b, t, s * self.heads, c // self.heads).transpose(1, 2) for f in (self.to_q, self.to_k, self.to_v))
        limit = 65535  # CUDA's grid
        parts = [attend(*p) for p in zip(*(y.split(limit, 1) for y in (q, k, v)))]
        y = parts[0] if len(parts) == 1 else torch.cat(parts, 1)
        return self.to_out[0](y.transpose(1, 2).reshape(x.shape))


class Geglu(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.proj = nn.Linear(channels, 8 * channels)

    def forward(self, x):
        h, gate = self.proj(x).chunk(2, -1)
        return h * F.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.net = nn.ModuleList([Geglu(channels), nn.Identity(), nn.Linear(4 * channels, channels)])

    def forward(self, x):
        return self.net[2](self.net[0](x))


class TransformerBlock(nn.Module):
    def __init__(self, channels, heads, context):
        super().__init__()
        self.norm1, self.attn1 = LayerNorm(channels), Attention(channels, heads)
        self.norm2, self.attn2 = LayerNorm(channels), Attention(channels, heads, context)
        self.norm3, self.ff = LayerNorm(channels), FeedForward(channels)

    def forward(self, x, context):
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class TemporalTransformerBlock(TransformerBlock):
    def __init__(self, channels, heads, context):
        super().__init__(channels, heads, context)
        self.norm_in, self.ff_in = LayerNorm(channels), FeedForward(channels)

    def forward(self, x, context):
        """x (B, T, S, C)"""
        x = x + self.ff_in(self.norm_in(x))
        x = x + self.attn1.over_time(self.norm1(x))
        x = x + self.attn2(self.norm2(x).flatten(1, 2), context).view(x.shape)
        return x + self.ff(self.norm3(x))


class Transformer(nn.Module):
    def __init__(self, channels, heads, context, groups):
        super().__init__()
        self.norm, self.proj_in = GroupNorm(groups, channels, eps=1e-6), nn.Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(channels, heads, context)])
        self.temporal_transformer_blocks = nn.ModuleList([TemporalTransformerBlock(channels, heads, context)])
        self.time_pos_embed, self.time_mixer = TimestepEmbedding(channels, 4 * channels, channels), Mixer()
        self.proj_out = nn.Linear(channels, channels)

    def forward(self, x, context, frames):
        n, c, h, w = x.shape
        y = self.proj_in(self.norm(x).permute(0, 2, 3, 1).reshape(n, h * w, c))
        y = self.transformer_blocks[0](y, context).view(n // frames, frames, h * w, c)
        positions = self.time_pos_embed(sinusoid(torch.arange(frames, device=x.device), c)).to(y.dtype)
        y = self.time_mixer(y, self.temporal_transformer_blocks[0](y + positions[None, :, None], context))
        return x + self.proj_out(y).reshape(n, h, w, c).permute(0, 3, 1, 2)


class Resample(nn.Module):
    def __init__(self, channels, down):
        super().__init__()
        self.conv, self.down = nn.Conv2d(channels, channels, 3, padding=1, stride=2 if down else 1), down

    def forward(self, x):
        return self.conv(x if self.down else F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Stage(nn.Module):
    def __init__(self, widths, attends, heads, cfg, resample=None):
        """widths: (inputs, outputs) of each residual block"""
        super().__init__()
        outputs = widths[-1][1]
        embedding, groups = 4 * cfg["channels"][0], cfg["normGroups"]
        self.resnets = nn.ModuleList(ResBlock(a, b, embedding, groups) for a, b in widths)
        if attends:
            self.attentions = nn.ModuleList(
                Transformer(outputs, heads, cfg["crossAttentionDim"], groups) for _ in range(attends))
        if resample:
            setattr(self, resample, nn.ModuleList([Resample(outputs, resample == "downsamplers")]))

    def layer(self, i, x, emb, context, frames):
        x = self.resnets[i](x, emb, frames)
        return self.attentions[i](x, context, frames) if i < len(getattr(self, "attentions", [])) else x


class UNet(nn.Module):
    """cfg: the UNetConfig of src/models/unet_config.ts, with heads by width and linear projections."""

    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        channels, layers = cfg["channels"], cfg["layersPerBlock"]
        heads = [c // cfg["heads"]["dim"] for c in channels]
        last = len(channels) - 1
        self.conv_in = nn.Conv2d(cfg["inChannels"], channels[0], 3, padding=1)
        self.time_embedding = TimestepEmbedding(channels[0], 4 * channels[0], 4 * channels[0])
        self.down_blocks, self.up_blocks = nn.ModuleList(), nn.ModuleList()
        skips, width = [channels[0]], channels[0]
        for level, c in enumerate(channels):
            widths = [(width if i == 0 else c, c) for i in range(layers)]
            attends = layers if cfg["attention"][level] else 0
            self.down_blocks.append(Stage(widths, attends, heads[level], cfg, "downsamplers" if level < last else None))
            skips += [c] * (layers + (level < last))
            width = c
        self.mid_block = Stage([(width, width)] * 2, 1, heads[last], cfg)
        for level in range(last, -1, -1):
            c, widths = channels[level], []
            for _ in range(layers + 1):
                widths.append((width + skips.pop(), c))
                width = c
            attends = layers + 1 if cfg["attention"][level] else 0
            self.up_blocks.append(Stage(widths, attends, heads[level], cfg, "upsamplers" if level else None))
        self.conv_norm_out = GroupNorm(cfg["normGroups"], channels[0])
        self.conv_out = nn.Conv2d(channels[0], cfg["outChannels"], 3, padding=1)

    def forward(self, latents, timesteps, context):
        """latents (B, T, h, w, C), timesteps (B,), context (B, M, D) -> like latents"""
        b, frames, h, w, c = latents.shape
        x = latents.reshape(b * frames, h, w, c).permute(0, 3, 1, 2)
        if not self.cfg.get("channelsLast", True):
            x = x.contiguous()
        emb = F.silu(self.time_embedding(sinusoid(timesteps, self.cfg["channels"][0])))
        x = self.conv_in(x)
        skips = [x]
        for stage in self.down_blocks:
            for i in range(len(stage.resnets)):
                x = stage.layer(i, x, emb, context, frames)
                skips.append(x)
            if hasattr(stage, "downsamplers"):
                x = stage.downsamplers[0](x)
                skips.append(x)
        for i in range(2):
            x = self.mid_block.layer(i, x, emb, context, frames)
        for stage in self.up_blocks:
            for i in range(len(stage.resnets)):
                x = stage.layer(i, torch.cat([x, skips.pop()], 1), emb, context, frames)
            if hasattr(stage, "upsamplers"):
                x = stage.upsamplers[0](x)
        x = self.conv_out(self.conv_norm_out(x, silu=True))
        return x.permute(0, 2, 3, 1).reshape(b, frames, h, w, -1)
