"""
Makes test/autoencoder/fixtures: a small AutoencoderKL of diffusers (random weights), exported to ONNX under the names, axes and
folders that optimum's exporter gives it, and what PyTorch computes with it.

    python -m venv .venv && .venv/bin/pip install torch numpy safetensors diffusers onnx onnxscript
    .venv/bin/python test/autoencoder/make_fixtures.py

`drawing.onnx` is its encoder as older versions exported it: it draws the latent by itself.
"""

import os

import numpy as np
import torch
from diffusers import AutoencoderKL
from safetensors.numpy import save_file
from torch import nn

FOLDER = os.path.join(os.path.dirname(__file__), "fixtures")
IMAGE = {0: "batch_size", 1: "num_channels", 2: "height", 3: "width"}
LATENT = {0: "batch_size", 1: "num_channels_latent", 2: "height_latent", 3: "width_latent"}


class Encoder(nn.Module):
    def __init__(self, vae):
        super().__init__()
        self.vae = vae

    def forward(self, sample):
        return self.vae.encode(sample).latent_dist.parameters


class DrawingEncoder(Encoder):
    def forward(self, sample):
        return self.vae.encode(sample).latent_dist.sample()


class Decoder(Encoder):
    def forward(self, latent_sample):
        return self.vae.decode(latent_sample).sample


def export(module, example, path, names, axes):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    taken, given = names
    torch.onnx.export(
        module.eval(),
        (example,),
        path,
        input_names=[taken],
        output_names=[given],
        dynamic_axes={taken: axes[0], given: axes[1]},
        opset_version=17,
        dynamo=False,
    )


def main():
    torch.manual_seed(0)
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(4, 8),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=2,
        sample_size=16,
        scaling_factor=0.13025,
    ).eval()
    image, latent = torch.zeros(1, 3, 16, 16), torch.zeros(1, 4, 8, 8)
    encoder = os.path.join(FOLDER, "vae", "vae_encoder")
    decoder = os.path.join(FOLDER, "vae", "vae_decoder")
    with torch.no_grad():
        export(Encoder(vae), image, os.path.join(encoder, "model.onnx"), ("sample", "latent_parameters"), (IMAGE, LATENT))
        export(Decoder(vae), latent, os.path.join(decoder, "model.onnx"), ("latent_sample", "sample"), (LATENT, IMAGE))
        export(DrawingEncoder(vae), image, os.path.join(FOLDER, "drawing.onnx"), ("sample", "latent_sample"), (IMAGE, LATENT))
        vae.save_config(encoder)
        # Another size and number than it was exported with; bytes, as images are stored.
        images = np.random.default_rng(0).integers(0, 256, (3, 20, 12, 3), dtype=np.uint8)
        x = torch.from_numpy(images.astype(np.float32) / 127.5 - 1).permute(0, 3, 1, 2)
        posterior = vae.encode(x).latent_dist
        decoded = vae.decode(posterior.mean).sample
    last = lambda t: np.ascontiguousarray(t.permute(0, 2, 3, 1).numpy())
    values = {
        "images": images.astype(np.float32),
        "mean": last(posterior.mean),
        "std": last(posterior.std),
        "decoded": last(decoded),
    }
    save_file(values, os.path.join(FOLDER, "values.safetensors"))


main()
