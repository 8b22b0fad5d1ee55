"""A model, not a measurement, of data-parallel training on many GPUs or nodes: how much of a step is spent adding up gradients.

usage: ranks_model.py [NETWORK…] [--set KEY=VALUE]

The layers of a network, with their parameters and multiply-adds, are those of `strata cost --layers`. A step computes 6 operations for each
multiply-add, 2 in the forward pass and 4 in the backward pass, at the sustained rate of SETTINGS; gradients are in fp32. An
all-reduce of n bytes over p ranks in a ring takes 2 (p - 1) latency + 2 (p - 1) / p n / bandwidth. Where nodes have several ranks, these
divide the gradients among them (reduce-scatter), each part goes around a ring of all nodes, and the ranks of a node collect the parts
again (all-gather), which takes the sum of both formulas. With buckets, the first of 1 MiB, an all-reduce begins as soon as the
backward pass has left the bucket's layers and the all-reduce before has ended. Computing and adding up do not slow each other down.
Prints a Markdown table. Uses only Python's standard library.
"""

import argparse
import csv
import io
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MIB = 1 << 20
BUCKETS = [4, 25]  # MiB


@dataclass
class Link:
    """Seconds before the first byte of a message, and bytes per second from each rank or, between nodes, from each node."""

    latency: float
    bandwidth: float

    def ring(self, count, size):
        return 2 * (count - 1) * self.latency + 2 * (count - 1) / count * size / self.bandwidth


@dataclass
class Setting:
    name: str
    nodes: int
    ranks: int  # of each node
    rate: float  # sustained operations per second of a rank
    batch: int  # images of a rank
    inside: Link
    between: Link

    def all_reduce(self, size):
        inside = self.inside.ring(self.ranks, size) if self.ranks > 1 else 0.0
        return inside + (self.between.ring(self.nodes, size) if self.nodes > 1 else 0.0)


NVLINK = Link(5e-6, 200e9)
GPU = 60e12
SETTINGS = [
    Setting("8 GPUs in a node", 1, 8, GPU, 64, NVLINK, NVLINK),
    Setting("64 nodes of 8 GPUs, 200 Gbit/s", 64, 8, GPU, 64, NVLINK, Link(20e-6, 22e9)),
    Setting("64 nodes of 8 GPUs, 25 Gbit/s", 64, 8, GPU, 64, NVLINK, Link(50e-6, 2.8e9)),
    Setting("64 nodes without GPUs, 10 Gbit/s", 64, 1, 0.58e12, 64, NVLINK, Link(50e-6, 1.1e9)),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = ["imagenet/resnet50", "imagenet/googlenet"]
    parser.add_argument("networks", nargs="*", metavar="NETWORK", default=default, help="default: %(default)s")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--strata", default=str(ROOT / "target/release/strata"))
    arguments = parser.parse_args()
    titles = ["setting", "network", "gradients, MB", "computing, ms", "one all-reduce, ms", "efficiency"]
    titles += [word for mib in BUCKETS for word in (f"waiting with {mib} MiB, ms", "efficiency")]
    print(f"| {' | '.join(titles)} |\n|{' --- |' * len(titles)}")
    for setting in SETTINGS:
        for network in arguments.networks:
            print(row(setting, network, layers(arguments, network)))


def layers(arguments, network):
    """(parameters, multiply-adds) of each layer, from the first to the last."""
    command = [arguments.strata, "cost", network, "--layers", "--format", "csv"]
    command += [word for key in arguments.set for word in ("--set", key)]
    table = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    rows = csv.DictReader(io.StringIO(table))
    return [(int(row["params"]), int(row["macs"])) for row in rows if row["layer"] != "total"]


def row(setting, network, layers):
    macs = setting.batch * sum(macs for _, macs in layers)
    forward, backward = 2 * macs / setting.rate, 4 * macs / setting.rate
    computing, size = forward + backward, 4 * sum(params for params, _ in layers)
    flat = setting.all_reduce(size)
    name = network.rpartition("/")[2]
    cells = [setting.name, name, f"{size / 1e6:.0f}", milliseconds(computing), milliseconds(flat)]
    cells.append(f"{computing / (computing + flat):.2f}")
    for mib in BUCKETS:
        waiting = waiting_for_buckets(setting, layers, mib * MIB)
        cells += [milliseconds(waiting), f"{computing / (computing + waiting):.2f}"]
    return f"| {' | '.join(cells)} |"


def waiting_for_buckets(setting, layers, full):
    """Seconds from the end of the backward pass to that of the last all-reduce."""
    now = done = 0.0
    size, limit = 0, MIB
    for params, macs in reversed(layers):
        now += 4 * setting.batch * macs / setting.rate
        size += 4 * params
        if size >= limit:
            done = max(now, done) + setting.all_reduce(size)
            size, limit = 0, full
    if size:
        done = max(now, done) + setting.all_reduce(size)
    return done - now


def milliseconds(seconds):
    return f"{1000 * seconds:.3g}"


if __name__ == "__main__":
    main()
