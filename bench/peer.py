"""A PyTorch worker: one network in one mode, driven by bench/run.py as `strata bench --worker` is.

usage: peer.py NETWORK MODE CxHxW CLASSES BATCH THREADS OPTIMIZER
Prints a line of JSON about the network, then for each line `train N` or `eval N` on standard input a line with the times.

The batch is a prepared tensor: PyTorch's time excludes gathering, augmentation and accuracies, which Strata's includes.
Everything else is a step of a training loop: zero_grad, forward, loss, backward, optimizer, reading the loss.
"""

import json
import sys
import time

import torch
import torch.nn.functional as F
from networks import NETWORKS, counts

# Channels-last, bf16, torch.compile. All but the first use the fused optimizer.
MODES = {
    "eager": (False, False, False),
    "channels_last": (True, False, False),
    "bf16": (True, True, False),
    "compile": (True, True, True),
    "compile_fp32": (True, False, True),
}


def optimizer(name, parameters, fused):
    if name == "adamw":
        return torch.optim.AdamW(parameters, 1e-6, weight_decay=0.01, fused=fused)
    return torch.optim.SGD(parameters, 1e-6, momentum=0.9, weight_decay=1e-4, nesterov=True, fused=fused)


def peak_mib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))


def main():
    name, mode, shape, classes, batch, threads, optimizer_name = sys.argv[1:]
    shape, classes, batch = [int(side) for side in shape.split("x")], int(classes), int(batch)
    channels_last, bf16, compiled = MODES[mode]
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    network = NETWORKS[name](shape[0], classes)
    about = counts(network, shape)
    images, labels = torch.rand(batch, *shape), torch.randint(0, classes, (batch,))
    if channels_last:
        network = network.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    run = torch.compile(network) if compiled else network
    update = optimizer(optimizer_name, network.parameters(), mode != "eager")

    def train():
        update.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = F.cross_entropy(run(images), labels)
        loss.backward()
        update.step()
        return loss.item()

    def evaluate():
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return F.cross_entropy(run(images), labels).item()

    def say(what):
        print(json.dumps(what), flush=True)

    say({"name": name, "batch": batch, "threads": torch.get_num_threads(), "torch": torch.__version__, **about})
    for request in sys.stdin:
        phase, count = request.split()
        network.train(phase == "train")
        step, times = train if phase == "train" else evaluate, []
        for _ in range(int(count)):
            start = time.perf_counter()
            step()
            times.append(1000 * (time.perf_counter() - start))
        say({"phase": phase, "ms": times, "peak_mib": peak_mib()})


if __name__ == "__main__":
    main()
