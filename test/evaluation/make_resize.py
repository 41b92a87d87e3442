"""Prints the values that resize-bilinear.test.ts holds: PyTorch's own bilinear interpolation.

    python -m pip install torch
    python test/evaluation/make_resize.py
"""
import torch

image = torch.arange(12, dtype=torch.float32).reshape(1, 1, 3, 4) ** 2
for size in [(5, 6), (2, 3)]:
    out = torch.nn.functional.interpolate(image, size=size, mode="bilinear", align_corners=False)
    print(size, [round(v, 4) for v in out.flatten().tolist()])
