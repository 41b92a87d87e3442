"""
Makes test/weights/fixtures: checkpoints written by real torch.save and real safetensors, and what a SiT written here in
PyTorch, from the papers (Peebles and Xie 2023, Ma et al. 2024) and the official checkpoints' names, computes with them.

    python -m venv .venv && .venv/bin/pip install torch numpy safetensors
    .venv/bin/python test/weights/make_fixtures.py

With --xl FILE.pt OUT.safetensors it writes a SiT-XL/2 of random weights, and noise with the samples that it draws of it, to
compare with `repulsor import` and `repulsor sample --noise OUT.safetensors --labels 3,1 --solver heun --steps 2 --cfg 1.5`.
"""

import argparse
import collections
import math
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.attn = nn.ModuleDict({"qkv": nn.Linear(width, 3 * width), "proj": nn.Linear(width, width)})
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x, c):
        b, n, d = x.shape
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.adaLN_modulation(c)[:, None].chunk(6, dim=-1)
        h = F.layer_norm(x, (d,), eps=1e-6) * (1 + scale_a) + shift_a
        q, k, v = self.attn["qkv"](h).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        h = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, d)
        x = x + gate_a * self.attn["proj"](h)
        h = F.layer_norm(x, (d,), eps=1e-6) * (1 + scale_m) + shift_m
        return x + gate_m * self.mlp["fc2"](F.gelu(self.mlp["fc1"](h), approximate="tanh"))


def sines(positions, dim):
    angles = positions[:, None].double() / 10000 ** (torch.arange(dim // 2).double() / (dim // 2))
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class SiT(nn.Module):
    def __init__(self, size, channels, patch, width, depth, heads, classes, learn_sigma):
        super().__init__()
        self.channels, self.patch, self.side = channels, patch, size // patch
        self.out = channels * (2 if learn_sigma else 1)
        row, column = torch.meshgrid(torch.arange(self.side), torch.arange(self.side), indexing="ij")
        fixed = torch.cat([sines(column.flatten(), width // 2), sines(row.flatten(), width // 2)], dim=1)
        self.pos_embed = nn.Parameter(fixed.float()[None], requires_grad=False)
        self.x_embedder = nn.ModuleDict({"proj": nn.Conv2d(channels, width, patch, stride=patch)})
        self.t_embedder = nn.ModuleDict(
            {"mlp": nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))}
        )
        self.y_embedder = nn.ModuleDict({"embedding_table": nn.Embedding(classes + 1, width)})
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(depth)])
        self.final_layer = nn.ModuleDict(
            {
                "linear": nn.Linear(width, patch * patch * self.out),
                "adaLN_modulation": nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width)),
            }
        )

    def forward(self, x, t, y):
        angles = t[:, None] * torch.exp(-math.log(10000) * torch.arange(128) / 128)
        time = self.t_embedder["mlp"](torch.cat([angles.cos(), angles.sin()], dim=1))
        c = time + self.y_embedder["embedding_table"](y)
        x = self.x_embedder["proj"](x).flatten(2).transpose(1, 2) + self.pos_embed
        for block in self.blocks:
            x = block(x, c)
        shift, scale = self.final_layer["adaLN_modulation"](c)[:, None].chunk(2, dim=-1)
        x = F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift
        x = self.final_layer["linear"](x).view(-1, self.side, self.side, self.patch, self.patch, self.out)
        x = x.permute(0, 5, 1, 3, 2, 4).reshape(-1, self.out, self.side * self.patch, self.side * self.patch)
        return x[:, : self.channels]

    def guided(self, x, t, y, scale, channels):
        null = torch.full_like(y, self.y_embedder["embedding_table"].num_embeddings - 1)
        labelled, unlabelled = self.forward(torch.cat([x, x]), torch.cat([t, t]), torch.cat([y, null])).chunk(2)
        mixed = unlabelled + scale * (labelled - unlabelled)
        return torch.cat([mixed[:, :channels], labelled[:, channels:]], dim=1)


def heun(model, noise, y, steps, scale, channels):
    x, h = noise, 1 / steps
    at = lambda x, t: model.guided(x, torch.full((len(x),), t), y, scale, channels)
    for i in range(steps):
        first = at(x, i * h)
        x = x + h / 2 * (first + at(x + h * first, (i + 1) * h))
    return x


def small(seed, learn_sigma=True):
    torch.manual_seed(seed)
    model = SiT(size=8, channels=4, patch=2, width=8, depth=2, heads=2, classes=5, learn_sigma=learn_sigma)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name != "pos_embed":
                p.copy_(0.3 * torch.randn_like(p))
    return model


@torch.no_grad()
def main(folder):
    path = lambda name: os.path.join(folder, name)
    model, ema = small(1), small(2)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.save(state, path("plain.pt"))
    save_file(state, path("plain.safetensors"))
    save_file({f"ema.{k}": v for k, v in ema.state_dict().items()}, path("ema.safetensors"))

    torch.set_grad_enabled(True)
    opt = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0)
    out = model(torch.randn(2, 4, 8, 8), torch.rand(2), torch.tensor([0, 5]))
    out.square().mean().backward()
    opt.step()
    torch.set_grad_enabled(False)
    args = argparse.Namespace(model="SiT-XL/2", image_size=256, path_type="Linear", loss_weight=None, sample_eps=1e-3)
    both = {"model": model.state_dict(), "ema": ema.state_dict(), "opt": opt.state_dict(), "args": args}
    torch.save(both, path("train.pt"))
    save_file({k: v for k, v in model.state_dict().items()}, path("trained.safetensors"))

    x, t, y = torch.randn(3, 4, 8, 8), torch.tensor([0.0, 0.37, 1.0]), torch.tensor([0, 3, 5])
    model.load_state_dict(state)
    noise, labels = torch.randn(2, 4, 8, 8), torch.tensor([3, 1])
    save_file(
        {
            **{"x": x, "t": t, "y": y.int(), "output": model(x, t, y).contiguous()},
            **{"noise": noise, "labels": labels.int()},
            "all_channels": heun(model, noise, labels, 5, 1.5, 4),
            "three_channels": heun(model, noise, labels, 5, 1.5, 3),
        },
        path("forward.safetensors"),
    )

    base = torch.arange(24, dtype=torch.float32).view(2, 3, 4)
    odd = collections.OrderedDict(
        transposed=base.permute(2, 0, 1),
        part=base.flatten()[5:9],
        strided=base.flatten()[1::3],
        broadcast=torch.tensor([7.0]).expand(3),
        scalar=torch.tensor(2.5),
        empty=torch.zeros(0, 3),
        half=torch.tensor([0.1, -65504.0, 6e-8]).half(),
        bfloat16=torch.tensor([0.1, 3e38]).bfloat16(),
        double=torch.tensor([0.1], dtype=torch.float64),
        parameter=nn.Parameter(torch.tensor([1.0, 2.0])),
    )
    odd["long"] = torch.tensor([1, -(2**40)])
    torch.save(odd, path("odd.pt"))
    torch.save(odd, path("legacy.pt"), _use_new_zipfile_serialization=False)

    class Evil:
        def __reduce__(self):
            return (os.system, ("touch /tmp/repulsor-was-here",))

    torch.save({"ema": state, "evil": Evil()}, path("evil.pt"))
    torch.save({"whole": nn.Linear(2, 2)}, path("module.pt"))


@torch.no_grad()
def xl(checkpoint, results):
    torch.manual_seed(0)
    model = SiT(size=32, channels=4, patch=2, width=1152, depth=28, heads=16, classes=1000, learn_sigma=True)
    for name, p in model.named_parameters():
        if name == "pos_embed":
            continue
        # As large as training leaves them, so that every block matters.
        p.copy_(torch.randn_like(p) * (0.02 if p.ndim < 2 or "embed" in name else 0.5 / math.sqrt(p[0].numel())))
    torch.save(model.state_dict(), checkpoint)
    noise, labels = torch.randn(2, 4, 32, 32), torch.tensor([3, 1])
    t = torch.tensor([0.25, 0.75])
    save_file(
        {
            **{"noise": noise, "labels": labels.int(), "t": t, "output": model(noise, t, labels).contiguous()},
            "samples": heun(model, noise, labels, 2, 1.5, 4),
        },
        results,
    )


if __name__ == "__main__":
    if "--xl" in sys.argv:
        xl(*sys.argv[-2:])
    else:
        main(os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures"))
