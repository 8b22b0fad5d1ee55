"""A PyTorch or OpenVINO worker: one network in one mode, driven by bench/run.py as `strata bench --worker` is.

usage: peer.py NETWORK MODE CxHxW CLASSES BATCH THREADS OPTIMIZER PRECISION
Prints a line of JSON about the network, then for each line `train N` or `eval N` on standard input a line with the times.
PRECISION is Strata's; modes.py says which modes follow it.

The batch is a prepared tensor: PyTorch's time excludes gathering, augmentation and accuracies, which Strata's includes.
Everything else is a step of a training loop: zero_grad, forward, loss, backward, optimizer, reading the loss.
"""

import json
import sys
import time

import torch
import torch.nn.functional as F
from modes import MODES
from networks import NETWORKS, counts


def optimizer(name, parameters, fused):
    if name == "adamw":
        return torch.optim.AdamW(parameters, 1e-6, weight_decay=0.01, fused=fused)
    if name == "rmsprop":  # has no fused form
        return torch.optim.RMSprop(parameters, 1e-6, alpha=0.9, eps=1e-3, momentum=0.9, weight_decay=1e-5)
    return torch.optim.SGD(parameters, 1e-6, momentum=0.9, weight_decay=1e-4, nesterov=True, fused=fused)


def peak_mib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))


def timed(step):
    """A function that takes a number of steps and returns the time of each, in milliseconds."""

    def one():
        start = time.perf_counter()
        step()
        return 1000 * (time.perf_counter() - start)

    return lambda count: [one() for _ in range(count)]


def torch_phases(network, images, labels, mode, bf16, optimizer_name):
    if mode.channels_last:
        network = network.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    if mode.freezing:
        import torch._inductor.config as inductor

        inductor.freezing = True
    run = torch.compile(network, mode=mode.compile) if mode.compile else network
    update = optimizer(optimizer_name, network.parameters(), mode.fused)

    def train():
        update.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = F.cross_entropy(run(images), labels)
        loss.backward()
        update.step()
        return loss.item()

    def evaluate():
        # Freezing needs no_grad: it does nothing in inference mode.
        without = torch.no_grad() if mode.freezing else torch.inference_mode()
        with without, torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return F.cross_entropy(run(images), labels).item()

    return {"train": timed(train), "eval": timed(evaluate)}


def openvino_phases(network, images, labels, mode, bf16, threads):
    from openvino_eval import evaluation

    return {"eval": evaluation(network, images, labels, mode, bf16, threads)}


def main():
    name, mode_name, shape, classes, batch, threads, optimizer_name, precision = sys.argv[1:]
    shape, classes, batch, threads = [int(side) for side in shape.split("x")], int(classes), int(batch), int(threads)
    mode = MODES[mode_name]
    bf16 = (precision if mode.precision == "strata" else mode.precision) == "bf16"
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = NETWORKS[name](shape[0], classes)
    about = counts(network, shape)
    images, labels = torch.rand(batch, *shape), torch.randint(0, classes, (batch,))
    if mode.library == "openvino":
        phases = openvino_phases(network, images, labels, mode, bf16, threads)
    else:
        phases = torch_phases(network, images, labels, mode, bf16, optimizer_name)

    def say(what):
        print(json.dumps(what), flush=True)

    say({"name": name, "batch": batch, "threads": torch.get_num_threads(), "torch": torch.__version__, **about})
    for request in sys.stdin:
        phase, count = request.split()
        network.train(phase == "train")
        say({"phase": phase, "ms": phases[phase](int(count)), "peak_mib": peak_mib()})


if __name__ == "__main__":
    main()
