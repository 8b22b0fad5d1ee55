"""Times Strata's steps against PyTorch's modes (and Keras on the deck's network), taking turns on the same machine.

usage: run.py [NETWORK…] [--quick] [--rounds 3] [--batch 128] [--images 224] [--threads N] [--modes eager,bf16] [--phases train,eval]
Uses only Python's standard library; the peers run in the environment that `make bench-peers` installs. docs/speed.md describes
the method and the columns.
"""

import argparse
import datetime
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import report
import workers
from modes import MODES, takes_part
from workers import WorkerFailed

ROOT = Path(__file__).parent.parent
# A round has as many steps as Strata does in this time, the same for every contender.
ROUND_SECONDS = 0.8
MOST_STEPS = 30


@dataclass
class Network:
    """An experiment, with the changes that the comparison needs, and the target ratios."""

    name: str
    overrides: list = field(default_factory=list)
    optimizer: str = "sgd"
    train_target: float = 1.0
    eval_target: float = 1.0


COLOUR = ["--set", "model.input=[3,32,32]"]
NETWORKS = [
    Network("googlenet", [], "adamw", 1.6, 1.5),
    Network("resnet20", COLOUR, "sgd", 1.3, 1.5),
    Network("resnet50", COLOUR, "sgd", 1.5, 1.5),
    Network("efficientnet-b0", COLOUR, "adamw", 1.3, 1.5),
    *(Network(name) for name in ("alexnet", "nin", "vgg11", "plain20", "resnet18", "highway19", "preact20")),
    *(Network(name) for name in ("inception_resnet", "resnext29", "se_resnet20", "wide_resnet16")),
    *(Network(name) for name in ("mobilenet_v1", "mobilenet_v2")),
]
# The first of them are those that --quick measures.
QUICK = 4
# ResNet-8, whose steps at --batch 32 take milliseconds, so that what is not arithmetic shows. Measured only when named.
SMALL = [Network("smoke", COLOUR, "sgd", 2.0, 2.0)]
# torchvision's networks, for --images. Averages of weights and auxiliary heads are not part of the comparison.
LARGE = [
    Network("imagenet/resnet50", [], "sgd", 1.3, 1.3),
    Network("imagenet/googlenet", ["--set", "model.aux=false", "--set", "train.ema=0"], "sgd", 1.3, 1.3),
    Network("imagenet/efficientnet_b0", ["--set", "train.ema=0"], "rmsprop", 1.3, 1.3),
]


def main():
    settings = arguments()
    machine = describe(settings)
    rows, starts = [], []
    for network in settings.networks:
        rows += compare(settings, network, machine)
        report.write(settings.results, rows, starts, machine)
    if settings.start:
        starts = [start_times(settings, NETWORKS[0])]
    machine["limits_after"] = limits(settings)
    report.write(settings.results, rows, starts, machine)
    print(report.text(rows, starts, machine))
    if settings.docs:
        report.into_page(settings.docs, rows, starts, machine)


def compare(settings, network, machine):
    """Rows of one network: a round of every contender in turn, over and over."""
    ours = workers.strata(settings, network, MOST_STEPS)
    contenders = [ours]
    try:
        about = ours.answer()
        for mode in settings.modes:
            contenders.append(workers.peer(settings, network, mode, about))
        if network.name == "googlenet" and settings.keras:
            contenders.append(workers.keras(settings))
        for peer in contenders[1:]:
            if told := or_left_out(peer.answer, peer, network, contenders, machine):
                workers.check_identical(peer.name, told, about)
        machine["cpu_capability"], machine["libtorch"] = about["cpu_capability"], about["libtorch"]
        # Evaluation first: after training its peak memory would be that of training.
        order = sorted(settings.phases)
        rows = [phase_row(settings, network, phase, contenders, about, machine) for phase in order]
        return rows[::-1]
    except WorkerFailed as failed:
        sys.exit(f"{network.name}: {failed}")
    finally:
        for worker in contenders:
            worker.end()


def phase_row(settings, network, phase, everyone, about, machine):
    contenders = [worker for worker in everyone if takes_part(worker.name, phase)]
    say(f"{network.name}, {phase}: warming up {', '.join(worker.name for worker in contenders)}")
    ours, *peers = contenders
    steps = round(1000 * ROUND_SECONDS / statistics.median(ours.ask(f"{phase} 3")["ms"]))
    steps = min(max(steps, 3), MOST_STEPS)
    for peer in peers:
        if not or_left_out(lambda: peer.ask(f"{phase} 3"), peer, network, everyone, machine):
            contenders.remove(peer)
    medians, last = {worker.name: [] for worker in contenders}, {}
    for number in range(settings.rounds):
        # Rotates the order, so that every contender is first once.
        turn = number % len(contenders)
        for worker in contenders[turn:] + contenders[:turn]:
            last[worker.name] = take_turn(worker, f"{phase} {steps}", everyone, machine)
            medians[worker.name].append(statistics.median(last[worker.name]["ms"]))
        times = [f"{name} {times[-1]:.1f}" for name, times in medians.items()]
        say(f"  round {number + 1}, {steps} steps each, ms: {', '.join(times)}")
    return report.row(settings, network, phase, steps, medians, last, about, machine["limits"])


def or_left_out(ask, peer, network, contenders, machine):
    """An answer of a peer. One that fails here (torch.compile needs a compiler) is excluded with a message."""
    try:
        return ask()
    except WorkerFailed as failed:
        say(f"excluded: {failed}")
        machine.setdefault("left_out", []).append(f"{network.name} {peer.name}")
        contenders.remove(peer)
        peer.end()
        return None


def take_turn(worker, request, contenders, machine):
    """One turn of one contender. Records the CPU time of the sleeping ones, which should be zero."""
    idle = [other for other in contenders if other is not worker]
    before, start = sum(other.cpu_seconds() for other in idle), time.monotonic()
    answer = worker.ask(request)
    share = (sum(other.cpu_seconds() for other in idle) - before) / max(time.monotonic() - start, 0.1)
    machine["idle_share"] = max(machine.get("idle_share", 0.0), round(share, 4))
    return answer


def start_times(settings, network):
    """Seconds from the start of the process to the end of the first training step: of a run, and of PyTorch with a batch that
    is ready. The first of each fills the file cache and is not counted."""
    ours, eager = [], []
    for _ in range(4):
        with tempfile.TemporaryDirectory() as results:
            command = [settings.strata, "train", network.name, "--verbose", "--results", results]
            command += ["--threads", str(settings.threads), "--set", f"train.batch={settings.batch}"]
            command += ["--set", "train.epochs=1", *network.overrides, *settings.set]
            ours.append(seconds_to_line(command, "first training step done", settings.threads))
        if settings.modes:
            shape = "1x28x28" if not network.overrides else "3x32x32"
            about = {"input": [int(side) for side in shape.split("x")], "classes": 10, "precision": "fp32"}
            worker = workers.peer(settings, network, settings.modes[0], about)
            try:
                worker.answer()
                worker.ask("train 1")
                eager.append(time.monotonic() - worker.began)
            finally:
                worker.end()
    return {
        "network": network.name,
        "strata_seconds": round(statistics.median(ours[1:]), 3),
        "torch_seconds": round(statistics.median(eager[1:]), 3) if eager else "",
    }


def seconds_to_line(command, text, threads):
    start = time.monotonic()
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=workers.environment(threads)
    ) as process:
        said = []
        for line in process.stderr:
            if text in line:
                seconds = time.monotonic() - start
                process.kill()
                return seconds
            said.append(line.strip())
    sys.exit(f"{' '.join(command)} ended before its first step: {said[-1] if said else 'no output'}")


def limits(settings):
    """The machine's peaks, measured in a separate worker so that the matrices do not count as a contender's memory."""
    worker = workers.strata(settings, NETWORKS[1], 1)
    try:
        worker.answer()
        return worker.ask("limits")
    except WorkerFailed as failed:
        sys.exit(str(failed))
    finally:
        worker.end()


def describe(settings):
    def first(path, start):
        with open(path) as lines:
            return next((line.partition(":")[2].strip() for line in lines if line.startswith(start)), "")

    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit.stdout.strip(),
        "processor": first("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory": first("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "threads": settings.threads,
        "rounds": settings.rounds,
        "load_before": round(os.getloadavg()[0], 2),
        "limits": limits(settings),
    }


def arguments():
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    names = [network.name for network in NETWORKS + SMALL + LARGE]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"{', '.join(names)}; default: all of a size but smoke")
    parser.add_argument("--quick", action="store_true", help="five minutes: four networks, one round, few modes")
    parser.add_argument("--rounds", type=int, help="3, with --quick 1")
    parser.add_argument("--batch", type=int, help="128, with --images 32")
    parser.add_argument("--images", type=int, metavar="SIDE", help="ImageNet networks, on images of SIDE x SIDE pixels")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--modes", help="of PyTorch and OpenVINO, all by default; none: Strata alone")
    parser.add_argument("--phases", default="train,eval")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for Strata: train.rewrites=false")
    parser.add_argument("--no-keras", dest="keras", action="store_false")
    parser.add_argument("--no-start", dest="start", action="store_false", help="do not measure the time to the first step")
    parser.add_argument("--strata", default=str(ROOT / "target/release/strata"))
    parser.add_argument("--python", default=str(cache / "strata/peers/bin/python"), help="interpreter with torch")
    parser.add_argument("--results", type=Path, help="results/bench for all networks, target/bench for some")
    parser.add_argument("--docs", type=Path, help="page whose table between the markers is replaced")
    settings = parser.parse_args()

    def chosen(text, known, what):
        words = [word for word in text.split(",") if word and word != "none"]
        for word in words:
            if word not in known:
                parser.error(f"unknown {what} {word}; known are {', '.join(known)}")
        return words

    if settings.quick:
        settings.keras = settings.start = False
        settings.networks = settings.networks or [network.name for network in (LARGE if settings.images else NETWORKS[:QUICK])]
    settings.rounds = (1 if settings.quick else 3) if settings.rounds is None else settings.rounds
    modes = settings.modes or ",".join(quick_modes() if settings.quick else MODES)
    settings.modes = chosen(modes, MODES, "mode")
    settings.phases = chosen(settings.phases, ["train", "eval"], "phase")
    wanted = chosen(",".join(settings.networks), names, "network")
    known = LARGE if settings.images else NETWORKS + (SMALL if wanted else [])
    settings.networks = [network for network in known if not wanted or network.name in wanted]
    settings.batch = settings.batch or (32 if settings.images else 128)
    settings.results = settings.results or ROOT / ("target/bench" if wanted or settings.images else "results/bench")
    if settings.images:
        settings.set.append(f"model.input=[3,{settings.images},{settings.images}]")
        settings.start = False
    settings.set = [word for assignment in settings.set for word in ("--set", assignment)]
    if not settings.networks:
        parser.error("--images takes the networks of imagenet/, and only these need it")
    if settings.rounds < 1 or settings.batch < 1 or settings.threads < 1:
        parser.error("--rounds, --batch and --threads take 1 or more")
    if not Path(settings.strata).is_file():
        parser.error(f"{settings.strata} does not exist; run `make build`")
    if (settings.modes or settings.keras) and not Path(settings.python).is_file():
        parser.error(f"{settings.python} does not exist; run `make bench-peers`, or use --modes none --no-keras")
    os.chdir(ROOT)
    return settings


def quick_modes():
    """Modes that start in seconds, in bf16 where the processor computes in it."""
    with open("/proc/cpuinfo") as lines:
        flags = lines.read().split()
    bf16 = any(flag in flags for flag in ("avx512_bf16", "amx_bf16"))
    return ["channels_last", *(["bf16"] if bf16 else []), "openvino"]


def say(text):
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
