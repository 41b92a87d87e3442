"""The same images through mosaicml-streaming, as its users write it: the peer of `npm run bench -- pipeline`.

    streaming_peer.py TASK     TASK is JSON: {"images": raw u8 file, "folder", "shape", "count", "encoding", "batch",
                               "workers"}

Writes the images as a local MDS data set, reads one epoch to be warm, and says so; then a line {} on stdin is answered by
the images and seconds of a further epoch: shuffled, flipped, in batches of bytes, which a trainer makes floats of on its
device, as ours does.
"""

import json
import resource
import sys
import time

import numpy as np
import torch
from streaming import MDSWriter, StreamingDataset
from torch.utils.data import DataLoader


def write(task):
    from PIL import Image

    height, width, channels = task["shape"]
    pixels = np.fromfile(task["images"], np.uint8).reshape(-1, height, width, channels)[: task["count"]]
    image = f"ndarray:uint8:{height},{width},{channels}" if task["encoding"] == "RAW_U8" else "png"
    with MDSWriter(out=task["folder"], columns={"image": image, "label": "int"}) as out:
        for i, one in enumerate(pixels):
            out.write({"image": one if task["encoding"] == "RAW_U8" else Image.fromarray(one), "label": i % 10})


class Images(StreamingDataset):
    """Pixels stay bytes."""

    def __getitem__(self, index):
        sample = super().__getitem__(index)
        return torch.from_numpy(np.array(sample["image"])), sample["label"]


def collate(samples):
    images = torch.stack([image for image, _ in samples])
    flipped = torch.rand(len(samples)) < 0.5
    images[flipped] = images[flipped].flip(2)
    return images, torch.tensor([label for _, label in samples])


def cpu_seconds():
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def main():
    task = json.loads(sys.argv[1])
    write(task)
    data = Images(local=task["folder"], shuffle=True, batch_size=task["batch"])
    workers = task["workers"]
    loader = DataLoader(
        data,
        batch_size=task["batch"],
        num_workers=workers,
        collate_fn=collate,
        drop_last=True,
        persistent_workers=workers > 0,
    )

    def epoch():
        begun, cpu, images = time.perf_counter(), cpu_seconds(), 0
        for batch, _ in loader:
            images += len(batch)
        return {"images": images, "seconds": time.perf_counter() - begun, "cpu_seconds": cpu_seconds() - cpu}

    epoch()
    print("{}", flush=True)
    for _ in sys.stdin:
        print(json.dumps(epoch()), flush=True)
    print("{}", flush=True)


if __name__ == "__main__":
    main()
