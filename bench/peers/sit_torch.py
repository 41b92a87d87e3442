"""The same train step in PyTorch, as a good user of PyTorch would write it: the peer of `npm run bench -- train-step`.

A SiT with adaLN-Zero, scaled_dot_product_attention, AdamW (fused or foreach, whichever is faster on this device), EMA
and momentum keys by foreach ops, flow matching, and the repulsion from a FIFO queue. Eager or compiled, float32 or
bfloat16 autocast, on the CPU or on the first NVIDIA GPU: there all state lives on it, images and labels go to it each step
from pinned memory, and each step ends when its loss is read.

    sit_torch.py TASK     TASK is JSON; see `Task` in bench/train-step/torch-side.ts

With `check` it takes steps from given weights, noise and images, prints what came of them and what is faster here, and ends. Else it warms up,
prints a line that says so, and takes turns: a line {"steps": n} on stdin is answered by {"seconds": s, "cpu_seconds": c}, the end
of stdin by the figures of the process.
"""

import contextlib
import json
import math
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

FREQUENCIES = 256

# Ways of torch.compile among which the fastest is taken. On a GPU its CUDA graphs spare the launches of small kernels, and cost copies of
# what goes in; on the CPU there are none. The first is the one whose compilation is timed: the next finds its kernels in the cache.
MODES = {"cpu": ["default"], "cuda": ["default", "reduce-overhead"]}
# Steps that warm up, and then steps that are timed: a GPU's take milliseconds.
WARM_UP = {"cpu": (2, 2), "cuda": (20, 40)}


def silu_mlp(inputs, hidden, out):
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, out))


def positions(rows, columns, dim):
    """Fixed sine-cosine positions: the first half of the width for the column, the second for the row."""
    omega = 1 / 10_000 ** (torch.arange(dim // 4, dtype=torch.float64) / (dim // 4))
    column, row = torch.arange(columns).repeat(rows), torch.arange(rows).repeat_interleave(columns)
    parts = [f(axis[:, None] * omega) for axis in (column, row) for f in (torch.sin, torch.cos)]
    return torch.cat(parts, 1).float()  # (N, D)


def modulate(x, shift, scale):
    return x * (1 + scale.unsqueeze(1)) + shift.unsqueeze(1)


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        b, n, d = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v)  # (B, H, N, D/H)
        return self.proj(y.transpose(1, 2).reshape(b, n, d))


class Mlp(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, width, heads, hidden):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.mlp = Mlp(width, hidden)
        self.adaLN_modulation = nn.Sequential(nn.Identity(), nn.Linear(width, 6 * width))
        for p in self.adaLN_modulation[1].parameters():
            nn.init.zeros_(p)

    def forward(self, x, c):
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.adaLN_modulation(c).chunk(6, 1)
        x = x + gate_a.unsqueeze(1) * self.attn(modulate(self.norm1(x), shift_a, scale_a))
        return x + gate_m.unsqueeze(1) * self.mlp(modulate(self.norm2(x), shift_m, scale_m))


class Features(nn.Module):
    """The embeddings and the first `depth` blocks. Images are (B, C, H, W)."""

    def __init__(self, m, depth):
        super().__init__()
        height, width, channels = m["input"]
        self.patch, self.time_scale = m["patch"], m["timeScale"]
        d = m["width"]
        self.x_embedder = nn.ModuleDict({"proj": nn.Linear(channels * self.patch**2, d)})
        self.t_embedder = nn.ModuleDict({"mlp": silu_mlp(FREQUENCIES, d, d)})
        self.y_embedder = nn.ModuleDict({"embedding_table": nn.Embedding(m["classes"] + 1, d)})
        self.blocks = nn.ModuleList(Block(d, m["heads"], round(d * m["mlpRatio"])) for _ in range(depth))
        half = FREQUENCIES // 2
        self.register_buffer("frequencies", torch.exp(-math.log(10_000) * torch.arange(half) / half))
        self.register_buffer("positions", positions(height // self.patch, width // self.patch, d))
        for p in (*self.t_embedder["mlp"].parameters(), *self.y_embedder.parameters()):
            nn.init.normal_(p, std=0.02)

    def condition(self, t, labels):
        angles = (t * self.time_scale)[:, None] * self.frequencies
        time_features = self.t_embedder["mlp"](torch.cat([angles.cos(), angles.sin()], 1))
        return F.silu(time_features + self.y_embedder["embedding_table"](labels))  # (B, D)

    def tokens(self, x):
        b, c, height, width = x.shape
        p = self.patch
        cut = x.view(b, c, height // p, p, width // p, p).permute(0, 2, 4, 1, 3, 5)
        return self.x_embedder["proj"](cut.reshape(b, -1, c * p * p)) + self.positions

    def forward(self, x, t, labels):
        c, x = self.condition(t, labels), self.tokens(x)
        for block in self.blocks:
            x = block(x, c)
        return x


class Head(nn.Module):
    """Mean over the tokens, an MLP, less the batch's mean where that is asked for, unit length."""

    def __init__(self, width, projection):
        super().__init__()
        self.mlp = silu_mlp(width, width, projection["dim"])
        self.centre = projection["centre"]

    def forward(self, features):
        z = self.mlp(features.mean(1)).float()
        return F.normalize(z - z.mean(0, keepdim=True) if self.centre else z, dim=1)


class SiT(Features):
    def __init__(self, m, tap):
        super().__init__(m, m["depth"])
        d, out = m["width"], m["patch"] ** 2 * m["input"][2]
        self.tap = tap
        self.norm = nn.LayerNorm(d, elementwise_affine=False, eps=1e-6)
        self.final_layer = nn.ModuleDict(
            {"linear": nn.Linear(d, out), "adaLN_modulation": nn.Sequential(nn.Identity(), nn.Linear(d, 2 * d))}
        )
        for p in self.final_layer.parameters():
            nn.init.zeros_(p)

    def forward(self, image, t, labels):
        """The velocity (B, C, H, W), and the activations after block `tap` (counted from 1)."""
        b, channels, height, width = image.shape
        p = self.patch
        c, x = self.condition(t, labels), self.tokens(image)
        features = x
        for i, block in enumerate(self.blocks):
            x = block(x, c)
            if i + 1 == self.tap:
                features = x
        shift, scale = self.final_layer["adaLN_modulation"](c).chunk(2, 1)
        out = self.final_layer["linear"](modulate(self.norm(x), shift, scale))
        cut = out.view(b, height // p, width // p, p, p, channels)
        return cut.permute(0, 5, 1, 3, 2, 4).reshape(image.shape), features


class KeyNetwork(nn.Module):
    """What the momentum copy needs: the network up to the tapped block, and the head."""

    def __init__(self, m, tap, projection):
        super().__init__()
        self.features = Features(m, tap)
        self.head = Head(m["width"], projection)

    def forward(self, x, t, labels):
        return self.head(self.features(x, t, labels))


def logsumexp_of_pairs(z, rows, log_weights, tau):
    """log sum exp(-|a - b|^2 / tau) over the pairs within z and with the rows; all of them have unit length."""
    own = (z @ z.T - 1) * (2 / tau)
    own = own.masked_fill(torch.eye(len(z), dtype=torch.bool, device=z.device), float("-inf"))
    if rows is None:
        return torch.logsumexp(own.flatten(), 0)
    queued = torch.addmm(log_weights - 2 / tau, z, rows.T, alpha=2 / tau)
    return torch.logsumexp(torch.cat([own, queued], 1).flatten(), 0)


class Trainer:
    """On torch's default device when it is made."""

    def __init__(self, task):
        p = task["pipeline"]
        self.model_settings, self.repulsion, self.optimizer_settings = p["model"], p["losses"]["repulsion"], p["optimizer"]
        self.label_dropout, self.batch = p["losses"]["labelDropout"], p["operators"]["batch"]
        self.bf16 = task["precision"] == "bf16"
        r = self.repulsion
        tap = 0 if r is None else r["block"]
        self.sit = SiT(self.model_settings, tap)
        self.head = None if r is None else Head(self.model_settings["width"], r["projection"])
        self.named = {n: v for n, v in self.sit.named_parameters()}
        if r is not None:
            self.named |= {f"head.{n.removeprefix('mlp.')}": v for n, v in self.head.named_parameters()}
        self.parameters = list(self.named.values())
        self.ema = [v.detach().clone() for v in self.parameters]
        self.queue = None
        if r is not None and r["queue"] > 0:
            self.keys = KeyNetwork(self.model_settings, tap, r["projection"]).requires_grad_(False)
            self.slow = {}
            for name, v in self.keys.named_parameters():
                plain = name.removeprefix("features.").replace("head.mlp.", "head.")
                self.slow[plain] = v
                v.data.copy_(self.named[plain].data)
            self.slow_values = list(self.slow.values())
            self.slow_sources = [self.named[name] for name in self.slow]
            self.queue = F.normalize(torch.randn(r["queue"], r["projection"]["dim"]), dim=1)
            self.log_weights, self.count = torch.zeros(r["queue"]), torch.tensor(float(r["queue"]))
            self.pointer = 0
        self.fused = task["fused"]
        o = self.optimizer_settings
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            lr=o["learningRate"],
            betas=(o["beta1"], o["beta2"]),
            eps=o["epsilon"],
            weight_decay=o["weightDecay"],
            fused=self.fused,
            foreach=not self.fused,
        )
        self.device = self.parameters[0].device
        self.loss, self.make_keys = self.loss_of, self.keys_of

    def compile(self, mode):
        compiled = torch.compile(dynamic=False, mode=mode)
        self.loss, self.make_keys = compiled(self.loss_of), compiled(self.keys_of)

    def autocast(self):
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def loss_of(self, images, noise, t, labels, rows, log_weights, count):
        velocity = images - noise
        x = noise + t[:, None, None, None] * velocity
        with self.autocast():
            output, features = self.sit(x, t, labels)
            z = None if self.head is None else self.head(features)
        flow = F.mse_loss(output.float(), velocity)
        if z is None:
            return flow, flow, None
        pairs = logsumexp_of_pairs(z, rows, log_weights, self.repulsion["form"]["tau"])
        repulsion = pairs - torch.log(count + (len(z) - 1)) - math.log(len(z))
        return flow + self.repulsion["lambda"] * repulsion, flow, repulsion

    @torch.no_grad()
    def keys_of(self, images, noise, t, labels):
        with self.autocast():
            return self.keys(noise + t[:, None, None, None] * (images - noise), t, labels)

    def step(self, images, labels, noise=None, t=None, measure_norm=False):
        """One step. Noise and time are drawn here unless they are given; given labels have had their dropout."""
        if noise is None:
            noise, t = torch.randn_like(images), torch.rand(len(images), device=self.device)
            dropped = torch.rand(len(labels), device=self.device) < self.label_dropout
            labels = torch.where(dropped, self.model_settings["classes"], labels)
        # With CUDA graphs: what the last step's put out may be overwritten from here on, and nothing of this step's before its end.
        torch.compiler.cudagraph_mark_step_begin()
        queue = (None, None, None) if self.queue is None else (self.queue, self.log_weights, self.count)
        total, flow, repulsion = self.loss(images, noise, t, labels, *queue)
        total.backward()
        o, norm = self.optimizer_settings, None
        if o["clip"] is not None:
            norm = nn.utils.clip_grad_norm_(self.parameters, o["clip"], foreach=True)
        elif measure_norm:
            norm = nn.utils.get_total_norm([v.grad for v in self.parameters], foreach=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            torch._foreach_lerp_(self.ema, self.parameters, 1 - o["ema"])
            if self.queue is not None:
                keys = self.make_keys(images, noise, t, labels)
                torch._foreach_lerp_(self.slow_values, self.slow_sources, 1 - self.repulsion["keyMomentum"])
                self.enqueue(keys)
        return total, flow, repulsion, norm

    def enqueue(self, keys):
        first = min(len(keys), len(self.queue) - self.pointer)
        self.queue[self.pointer : self.pointer + first] = keys[:first]
        self.queue[: len(keys) - first] = keys[first:]
        self.pointer = (self.pointer + len(keys)) % len(self.queue)


def fused_is_faster(parameters):
    """Which AdamW is quicker on parameters of these sizes here."""
    seconds = {}
    for fused in (True, False):
        copies = [v.detach().clone().requires_grad_() for v in parameters]
        for v in copies:
            v.grad = torch.ones_like(v)
        optimizer = torch.optim.AdamW(copies, fused=fused, foreach=not fused)
        took = []
        for _ in range(4):
            begun = time.perf_counter()
            optimizer.step()
            if copies[0].is_cuda:
                torch.cuda.synchronize()
            took.append(time.perf_counter() - begun)
        seconds[fused] = min(took[1:])
    return seconds[True] <= seconds[False]


def check(trainer, task):
    """Steps from given weights, noise, times, labels and images: the terms of each, and how far everything has moved."""
    from safetensors.torch import load_file

    given = {name: v.to(trainer.device) for name, v in load_file(task["check"]).items()}
    with torch.no_grad():
        for name, v in trainer.named.items():
            v.copy_(given[f"params/{name}"])
        for average, v in zip(trainer.ema, trainer.parameters):
            average.copy_(v)
        if trainer.queue is not None:
            for name, v in trainer.slow.items():
                v.copy_(given[f"slow/{name}"])
            trainer.queue.copy_(given["queue/rows"])
            valid, order = int(given["queue/valid"]), torch.arange(len(trainer.queue), device=trainer.device)
            trainer.pointer = int(given["queue/pointer"])
    for v in trainer.parameters:
        moments = {"exp_avg": torch.zeros_like(v), "exp_avg_sq": torch.zeros_like(v)}
        trainer.optimizer.state[v] = {"step": given["0/step"].squeeze() - 1, **moments}
    before = [v.detach().clone() for v in trainer.parameters]
    slow_before = [] if trainer.queue is None else [v.clone() for v in trainer.slow_values]
    steps = []
    for i in range(task["steps"]):
        trainer.optimizer.param_groups[0]["lr"] = float(given[f"{i}/rate"])
        if trainer.queue is not None:
            weight = float(given[f"{i}/weight"])
            # The ramp: a queued row counts as `weight` of one; rows that are not there yet do not count.
            trainer.log_weights = torch.where(order < valid, math.log(weight), float("-inf"))
            trainer.count.fill_(valid * weight)
        at = {name: given[f"{i}/{name}"] for name in ("images", "noise", "t", "labels")}
        images, noise = (at[name].permute(0, 3, 1, 2).contiguous() for name in ("images", "noise"))
        dropped, t = at["labels"].long(), at["t"]
        total, flow, repulsion, norm = trainer.step(images, dropped, noise, t, measure_norm=True)
        terms = {"total": total, "flow": flow, "gradientNorm": norm}
        if repulsion is not None:
            terms["repulsion"] = repulsion
        steps.append({name: float(v) for name, v in terms.items()})
        if trainer.queue is not None:
            valid = min(valid + len(images), len(trainer.queue))

    def change(now, then):
        return math.sqrt(sum(float(((a.detach() - b).double() ** 2).sum()) for a, b in zip(now, then)))

    moved = {"params": change(trainer.parameters, before), "ema": change(trainer.ema, before)}
    if trainer.queue is not None:
        moved["slow"] = change(trainer.slow_values, slow_before)
    begun = time.perf_counter()
    for _ in range(2):
        trainer.step(images, dropped, noise, t)
    seconds = time.perf_counter() - begun
    return {"steps": steps, "moved": moved, "fused": fused_is_faster(trainer.parameters), "seconds": seconds}


def resident(field):
    with open("/proc/self/status") as status:
        return next((int(line.split()[1]) * 1024 for line in status if line.startswith(field)), 0)


def say(message):
    print(json.dumps(message), flush=True)


def main():
    task = json.loads(sys.argv[1])
    device = torch.device({"cpu": "cpu", "gpu": "cuda"}[task["device"]])
    torch.set_num_threads(task["threads"])
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = False  # float32 is float32, as on the other side
    idle = resident("VmRSS")
    with device:
        trainer = Trainer(task)
    if task["check"] is not None:
        return say(check(trainer, task))
    height, width, channels = trainer.model_settings["input"]
    images = torch.randn(trainer.batch, channels, height, width)
    labels = torch.randint(trainer.model_settings["classes"], (trainer.batch,))
    if device.type == "cuda":
        images, labels = images.pin_memory(), labels.pin_memory()

    def steps(count):
        begun, used = time.perf_counter(), time.process_time()
        for _ in range(count):
            batch = (v.to(device, non_blocking=True) for v in (images, labels))
            trainer.step(*batch)[0].item()
        return time.perf_counter() - begun, time.process_time() - used

    def warm_up():
        """Seconds of the first step, and of a usual one."""
        first, _ = steps(1)
        warming, timed = WARM_UP[device.type]
        steps(warming)
        return first, steps(timed)[0] / timed

    def fastest_mode():
        tried = {}
        for mode in MODES[device.type]:
            trainer.compile(mode)
            try:
                tried[mode] = (*warm_up(), trainer.loss, trainer.make_keys)
            except Exception as error:
                if mode == "default":
                    raise
                print(f"torch.compile's mode {mode} fails, and is not used: {error}", file=sys.stderr)
                trainer.optimizer.zero_grad(set_to_none=True)
        best = min(tried, key=lambda mode: tried[mode][1])
        _, steady, trainer.loss, trainer.make_keys = tried[best]
        return best, tried["default"][0] - tried["default"][1], steady, {mode: of[1] for mode, of in tried.items()}

    if task["compile"]:
        mode, compile_seconds, steady, mode_seconds = fastest_mode()
    else:
        first, steady = warm_up()
        mode, compile_seconds, mode_seconds = None, first - steady, None
    say(
        {
            "compile_seconds": max(0, compile_seconds),
            "compile_mode": mode,
            "mode_step_seconds": mode_seconds,
            "step_seconds": steady,
            "version": f"PyTorch {torch.__version__}",
        }
    )
    whole = resident("VmHWM")
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as peak:
        peak.write("5")  # proc(5): VmHWM begins anew; some containers have no such file
    for line in sys.stdin:
        seconds, cpu_seconds = steps(json.loads(line)["steps"])
        say({"seconds": seconds, "cpu_seconds": cpu_seconds})
    turns = resident("VmHWM")
    # Of the whole life: the replay of a CUDA graph allocates nothing that would be counted.
    on_device = torch.cuda.max_memory_allocated() if device.type == "cuda" else None
    say({"peak_bytes": max(whole, turns), "turns_peak_bytes": turns, "idle_bytes": idle, "device_peak_bytes": on_device})


if __name__ == "__main__":
    main()
