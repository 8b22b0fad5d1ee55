"""torchvision's loader for `strata bench --data`: a worker that takes the image files named in a list through its stages.

    python loader.py LIST HEIGHT WIDTH

Answers each line on standard input, `v1` (PIL images) or `v2` (tensors, torchvision.io), with a line of JSON: processor seconds
of this process for each stage over all files, on one thread. The first line names the versions.
"""

import json
import sys
import time

import PIL
import torch
import torchvision
from PIL import Image
from torchvision import transforms as v1
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms import v2

torch.set_num_threads(1)
paths = open(sys.argv[1]).read().splitlines()
size = [int(side) for side in sys.argv[2:4]]
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def read(path):
    with open(path, "rb") as file:
        return file.read()


def of_v1():
    def decode(path):
        with open(path, "rb") as file:
            return Image.open(file).convert("RGB")

    last = v1.Compose([v1.RandomHorizontalFlip(), v1.ToTensor(), v1.Normalize(MEAN, STD)])
    return decode, v1.RandomResizedCrop(size), last


def of_v2():
    def decode(path):
        content = torch.frombuffer(bytearray(read(path)), dtype=torch.uint8)
        return decode_image(content, mode=ImageReadMode.RGB)

    scale = v2.ToDtype(torch.float32, scale=True)
    last = v2.Compose([v2.RandomHorizontalFlip(), scale, v2.Normalize(MEAN, STD)])
    return decode, v2.RandomResizedCrop(size, antialias=True), last


def measure(decode, crop, last):
    """`decode` includes reading, which is then taken off."""
    clock, sums = time.process_time, [0.0] * 4
    for path in paths:
        times = [clock()]
        read(path)
        times.append(clock())
        image = decode(path)
        times.append(clock())
        image = crop(image)
        times.append(clock())
        last(image)
        times.append(clock())
        sums = [total + end - start for total, start, end in zip(sums, times, times[1:])]
    begin = clock()
    for path in paths:
        last(crop(decode(path)))
    names = ["read", "decode", "resize", "normalise", "whole"]
    return dict(zip(names, [sums[0], max(0.0, sums[1] - sums[0]), *sums[2:], clock() - begin]))


loaders = {"v1": of_v1(), "v2": of_v2()}
versions = {"torchvision": torchvision.__version__, "torch": torch.__version__, "pillow": PIL.__version__}
print(json.dumps(versions), flush=True)
for line in sys.stdin:
    print(json.dumps(measure(*loaders[line.strip()])), flush=True)
