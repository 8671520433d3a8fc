"""The PyTorch side of the comparison: a Video LDM UNet (Stable Diffusion's blocks with temporal residual and transformer
blocks between them), trained with torch.optim.AdamW, clip_grad_norm_ and an exponential moving average.

    python3 reference.py EXPERIMENT.json INPUTS.safetensors OUT.safetensors

Only torch and the standard library are needed. Module names are those of the weight files, so `load_state_dict(strict=True)`
is itself a check of the architecture."""
import json
import math
import struct
import sys

import torch
from torch import nn
from torch.nn import functional as F


# --- files

def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        body = bytearray(file.read())
    dtypes = {"F32": torch.float32, "I32": torch.int32}
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        start, end = entry["data_offsets"]
        flat = torch.frombuffer(body[start:end], dtype=dtypes[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"]).clone()
    return tensors


def write_safetensors(path, tensors):
    header, chunks, offset = {}, [], 0
    for name, tensor in sorted(tensors.items()):
        data = tensor.detach().contiguous().to(torch.float32).numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
        chunks.append(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(chunks))


# --- layers; a spatial layer sees [B*T,C,H,W], a temporal one [B,C,T,H,W] or, as tokens, [B*H*W,T,C]

def sinusoid(times, dim):
    half = dim // 2
    frequencies = torch.exp(-math.log(10000) * torch.arange(half, dtype=torch.float32) / half)
    angles = times.float()[:, None] * frequencies[None]
    return torch.cat([torch.cos(angles), torch.sin(angles)], 1)


class Mlp(nn.Module):
    def __init__(self, inputs, hidden, outputs):
        super().__init__()
        self.linear_1 = nn.Linear(inputs, hidden)
        self.linear_2 = nn.Linear(hidden, outputs)

    def forward(self, x):
        return self.linear_2(F.silu(self.linear_1(x)))


class Mixer(nn.Module):
    """alpha z + (1 - alpha) z', alpha = sigmoid(mix_factor)."""

    def __init__(self):
        super().__init__()
        self.mix_factor = nn.Parameter(torch.tensor([0.5]))

    def forward(self, spatial, temporal):
        alpha = torch.sigmoid(self.mix_factor)
        return alpha * spatial + (1 - alpha) * temporal


class TemporalResnet(nn.Module):
    def __init__(self, channels, embedding, groups):
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, channels, eps=1e-5)
        self.conv1 = nn.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0))
        self.time_emb_proj = nn.Linear(embedding, channels)
        self.norm2 = nn.GroupNorm(groups, channels, eps=1e-5)
        self.conv2 = nn.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0))

    def forward(self, x, embedding):
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.time_emb_proj(embedding)[:, :, None, None, None]
        return x + self.conv2(F.silu(self.norm2(h)))


class Resnet(nn.Module):
    def __init__(self, inputs, outputs, embedding, groups, temporal):
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, inputs, eps=1e-5)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.time_emb_proj = nn.Linear(embedding, outputs)
        self.norm2 = nn.GroupNorm(groups, outputs, eps=1e-5)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None
        if temporal:
            self.temporal_res_block = TemporalResnet(outputs, embedding, groups)
            self.time_mixer = Mixer()

    def forward(self, x, embedding, frames):
        """x [B*T,C,H,W], embedding [B,E]."""
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.time_emb_proj(embedding).repeat_interleave(frames, 0)[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        h = h + (x if self.conv_shortcut is None else self.conv_shortcut(x))
        if not hasattr(self, "temporal_res_block"):
            return h
        clip = h.reshape(-1, frames, *h.shape[1:]).transpose(1, 2)
        clip = self.time_mixer(clip, self.temporal_res_block(clip, embedding))
        return clip.transpose(1, 2).reshape(h.shape)


class Attention(nn.Module):
    def __init__(self, channels, head_dim, context=None):
        super().__init__()
        self.heads = channels // head_dim
        source = context or channels
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(source, channels, bias=False)
        self.to_v = nn.Linear(source, channels, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x, context=None):
        source = x if context is None else context
        split = lambda y: y.reshape(y.shape[0], y.shape[1], self.heads, -1).transpose(1, 2)
        q, k, v = split(self.to_q(x)), split(self.to_k(source)), split(self.to_v(source))
        weights = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(q.shape[-1]), -1)
        return self.to_out[0]((weights @ v).transpose(1, 2).reshape(x.shape))


class FeedForward(nn.Module):
    def __init__(self, channels):
        super().__init__()
        projection = nn.Module()
        projection.proj = nn.Linear(channels, 8 * channels)
        self.net = nn.ModuleList([projection, nn.Identity(), nn.Linear(4 * channels, channels)])

    def forward(self, x):
        value, gate = self.net[0].proj(x).chunk(2, -1)
        return self.net[2](value * F.gelu(gate))


class Block(nn.Module):
    """Self-attention, cross-attention, feed-forward; the temporal one has a feed-forward before them."""

    def __init__(self, channels, head_dim, context, temporal):
        super().__init__()
        if temporal:
            self.norm_in, self.ff_in = nn.LayerNorm(channels), FeedForward(channels)
        self.norm1, self.attn1 = nn.LayerNorm(channels), Attention(channels, head_dim)
        self.norm2, self.attn2 = nn.LayerNorm(channels), Attention(channels, head_dim, context)
        self.norm3, self.ff = nn.LayerNorm(channels), FeedForward(channels)

    def forward(self, x, context):
        if hasattr(self, "ff_in"):
            x = x + self.ff_in(self.norm_in(x))
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class Transformer(nn.Module):
    def __init__(self, channels, head_dim, context, groups, temporal):
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList([Block(channels, head_dim, context, False)])
        if temporal:
            self.temporal_transformer_blocks = nn.ModuleList([Block(channels, head_dim, context, True)])
            self.time_pos_embed = Mlp(channels, 4 * channels, channels)
            self.time_mixer = Mixer()
        self.proj_out = nn.Linear(channels, channels)

    def forward(self, x, context, frames):
        """x [B*T,C,H,W], context [B,M,D]."""
        n, c, h, w = x.shape
        tokens = self.proj_in(self.norm(x).permute(0, 2, 3, 1).reshape(n, h * w, c))
        tokens = self.transformer_blocks[0](tokens, context.repeat_interleave(frames, 0))
        if hasattr(self, "time_mixer"):
            spatial = tokens.reshape(-1, frames, h * w, c)
            positions = self.time_pos_embed(sinusoid(torch.arange(frames), c))
            moved = (spatial + positions[None, :, None]).transpose(1, 2).reshape(-1, frames, c)
            moved = self.temporal_transformer_blocks[0](moved, context.repeat_interleave(h * w, 0))
            moved = moved.reshape(-1, h * w, frames, c).transpose(1, 2)
            tokens = self.time_mixer(spatial, moved).reshape(n, h * w, c)
        return x + self.proj_out(tokens).reshape(n, h, w, c).permute(0, 3, 1, 2)


class Wrapped(nn.Module):
    """A convolution under the name `conv`."""

    def __init__(self, channels, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=stride, padding=1)


class Stage(nn.Module):
    """The residual blocks and transformers of one level."""

    def __init__(self, shape, channels, temporal, attends=True, down=False, up=False):
        super().__init__()
        embedding, head_dim, context, groups = shape
        self.resnets = nn.ModuleList([Resnet(i, o, embedding, groups, temporal) for i, o in channels])
        transformers = channels[:1] if attends == "once" else channels if attends else []
        if transformers:
            self.attentions = nn.ModuleList([Transformer(o, head_dim, context, groups, temporal) for _, o in transformers])
        width = channels[-1][1]
        if down:
            self.downsamplers = nn.ModuleList([Wrapped(width, 2)])
        if up:
            self.upsamplers = nn.ModuleList([Wrapped(width)])

    def layer(self, i, x, embedding, context, frames):
        x = self.resnets[i](x, embedding, frames)
        return self.attentions[i](x, context, frames) if hasattr(self, "attentions") and i < len(self.attentions) else x


class UNet(nn.Module):
    def __init__(self, config, temporal):
        super().__init__()
        channels, layers, attention = config["channels"], config["layersPerBlock"], config["attention"]
        first, last, groups = channels[0], len(channels) - 1, config["normGroups"]
        shape = (4 * first, config["heads"]["dim"], config["crossAttentionDim"], groups)
        self.conv_in = nn.Conv2d(config["inChannels"], first, 3, padding=1)
        self.time_embedding = Mlp(first, 4 * first, 4 * first)
        self.down_blocks, kept, width = nn.ModuleList(), [first], first
        for level, out in enumerate(channels):
            ends = [(width if i == 0 else out, out) for i in range(layers)]
            self.down_blocks.append(Stage(shape, ends, temporal, attention[level], down=level < last))
            kept += [out] * layers + ([out] if level < last else [])
            width = out
        self.mid_block = Stage(shape, [(width, width)] * 2, temporal, "once")
        self.up_blocks = nn.ModuleList()
        for level in range(last, -1, -1):
            ends = []
            for _ in range(layers + 1):
                ends.append((width + kept.pop(), channels[level]))
                width = channels[level]
            self.up_blocks.append(Stage(shape, ends, temporal, attention[level], up=level > 0))
        self.conv_norm_out = nn.GroupNorm(groups, first, eps=1e-5)
        self.conv_out = nn.Conv2d(first, config["outChannels"], 3, padding=1)

    def forward(self, clips, timesteps, context):
        """clips [B,T,H,W,C] -> the same shape."""
        b, frames, h, w, c = clips.shape
        embedding = F.silu(self.time_embedding(sinusoid(timesteps, self.conv_in.out_channels)))
        place = (embedding, context, frames)
        x = self.conv_in(clips.reshape(b * frames, h, w, c).permute(0, 3, 1, 2))
        skips = [x]
        for stage in self.down_blocks:
            for i in range(len(stage.resnets)):
                x = stage.layer(i, x, *place)
                skips.append(x)
            if hasattr(stage, "downsamplers"):
                x = stage.downsamplers[0].conv(x)
                skips.append(x)
        x = self.mid_block.layer(0, x, *place)
        x = self.mid_block.layer(1, x, *place)
        for stage in self.up_blocks:
            for i in range(len(stage.resnets)):
                x = stage.layer(i, torch.cat([x, skips.pop()], 1), *place)
            if hasattr(stage, "upsamplers"):
                x = stage.upsamplers[0].conv(F.interpolate(x, scale_factor=2, mode="nearest"))
        x = self.conv_out(F.silu(self.conv_norm_out(x)))
        return x.permute(0, 2, 3, 1).reshape(b, frames, h, w, -1)


# --- training

def noise_levels(schedule):
    """alpha_t, sigma_t of the schedule whose square roots of beta are linear."""
    betas = torch.linspace(schedule["betaStart"] ** 0.5, schedule["betaEnd"] ** 0.5, schedule["steps"]) ** 2
    alphas_cumprod = torch.cumprod(1 - betas, 0)
    return alphas_cumprod.sqrt(), (1 - alphas_cumprod).sqrt()


def loss_of(model, inputs, levels, prediction):
    at = lambda table: table[inputs["timesteps"].long()].reshape(-1, 1, 1, 1, 1)
    alpha, sigma = at(levels[0]), at(levels[1])
    latents, noise = inputs["latents"], inputs["noise"]
    target = noise if prediction == "eps" else alpha * noise - sigma * latents
    noisy = alpha * latents + sigma * noise
    return F.mse_loss(model(noisy, inputs["timesteps"], inputs["context"]), target)


def learning_rate(options, step, steps):
    warmup, rate = options["warmupSteps"], options["learningRate"]
    if step < warmup:
        return rate * (step + 1) / (warmup + 1)
    return 0.5 * rate * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def train(experiment, tensors):
    torch.manual_seed(0)
    options, steps, micro = experiment["optimizer"], experiment["steps"], experiment["accumulate"]
    model = UNet(experiment["unet"], experiment["stage"] == "temporal")
    start = {name[len("start."):]: value for name, value in tensors.items() if name.startswith("start.")}
    model.load_state_dict(start, strict=True)
    trained = set(experiment["trained"])
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trained)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    frozen = {name: value.clone() for name, value in model.named_parameters() if name not in trained}
    assert len(parameters) == len(trained)
    adamw = torch.optim.AdamW(parameters, lr=options["learningRate"], betas=tuple(options["betas"]),
                              eps=options["epsilon"], weight_decay=options["weightDecay"])
    average = {name: value.detach().clone() for name, value in model.named_parameters() if name in trained}
    levels, losses, norms = noise_levels(experiment["schedule"]), [], []
    for step in range(steps):
        for group in adamw.param_groups:
            group["lr"] = learning_rate(options, step, steps)
        adamw.zero_grad()
        total = 0.0
        for i in range(micro):
            prefix = f"step.{step}.{i}."
            inputs = {name[len(prefix):]: value for name, value in tensors.items() if name.startswith(prefix)}
            loss = loss_of(model, inputs, levels, experiment["prediction"]) / micro
            loss.backward()
            total += loss.item()
        norms.append(torch.nn.utils.clip_grad_norm_(parameters, options["clipNorm"]).item())
        adamw.step()
        decay = min(options["emaDecay"], (1 + step) / (10 + step))
        with torch.no_grad():
            for name, value in model.named_parameters():
                if name in trained:
                    average[name].mul_(decay).add_(value, alpha=1 - decay)
        losses.append(total)
    for name, value in model.named_parameters():
        assert name in trained or torch.equal(value, frozen[name]), f"{name} is frozen and moved"
    out = {f"ema.{name}": value for name, value in average.items()}
    out["losses"], out["gradient_norms"] = torch.tensor(losses), torch.tensor(norms)
    return out


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        description = json.load(file)
    write_safetensors(sys.argv[3], train(description, read_safetensors(sys.argv[2])))
    print(f"PyTorch {torch.__version__}")
