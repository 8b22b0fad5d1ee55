"""Times training steps of two ranks with one thread each against one process with two threads, taking turns.

usage: ranks.py [NETWORK…] [--rounds 5] [--steps 6] [--batch 128] [--world 2] [--buckets auto 0 25] [--set train.sync_bn=true]
`buckets` is the size of gradient buckets in MiB (STRATA_BUCKET_MIB): 0 for one operation after the backward pass, `auto` for what Strata
chooses by the size of the network. `efficiency` is the time of a step in one process divided by that on the ranks, for the same global
batch and as many threads in all;
`sum_ms` the part of the ranks' step spent adding up gradients and losses, waiting for each other included. Medians of rounds.
Writes ranks.csv. Uses only Python's standard library, like run.py.
"""

import argparse
import os
import socket
import statistics
import sys
from pathlib import Path

import report
import run
import workers

COLUMNS = [
    "network", "batch", "world", "buckets", "one_process_ms", "ranks_ms", "efficiency", "efficiency_min", "efficiency_max", "sum_ms",
]  # fmt: skip


def main():
    settings = arguments()
    rows = []
    for network in settings.networks:
        for row in measure(settings, network):
            rows.append(row)
            print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
        settings.results.mkdir(parents=True, exist_ok=True)
        report.write_atomic(settings.results / "ranks.csv", report.to_csv(COLUMNS, rows))


def measure(settings, network):
    """The rows of a network: rounds of one process and of the ranks, with each size of buckets, in turn."""
    settings.threads = settings.world
    alone = workers.strata(settings, network, settings.steps)
    settings.threads = 1
    groups = {}
    try:
        for buckets in settings.buckets:
            port = free_port()
            groups[buckets] = [rank(settings, network, number, port, buckets) for number in range(settings.world)]
        for worker in [alone, *sum(groups.values(), [])]:
            worker.answer()
        turns = ["alone", *groups]
        times = {turn: [] for turn in turns}
        for number in range(-1, settings.rounds):  # the first warms up
            steps = settings.steps if number >= 0 else 3
            for turn in turns if number % 2 else reversed(turns):
                if turn == "alone":
                    times[turn].append(statistics.median(alone.ask(f"train {steps}")["ms"]))
                else:
                    times[turn].append(together(groups[turn], f"train {steps}"))
    except workers.WorkerFailed as failed:
        sys.exit(f"{network.name}: {failed}")
    finally:
        for worker in [alone, *sum(groups.values(), [])]:
            worker.end()
    one = times.pop("alone")[1:]
    return [row(settings, network, buckets, one, ranks[1:]) for buckets, ranks in times.items()]


def row(settings, network, buckets, alone, ranks):
    ratios = [one / several for one, (several, _) in zip(alone, ranks)]
    one, several, summing = (statistics.median(list) for list in (alone, *zip(*ranks)))
    return {
        "network": network.name, "batch": settings.batch, "world": settings.world, "buckets": buckets,
        "one_process_ms": report.digits(one), "ranks_ms": report.digits(several),
        "efficiency": round(statistics.median(ratios), 3), "efficiency_min": round(min(ratios), 3),
        "efficiency_max": round(max(ratios), 3), "sum_ms": report.digits(summing),
    }  # fmt: skip


def rank(settings, network, number, port, buckets):
    """A worker that is one of the ranks."""
    place = {"RANK": number, "WORLD_SIZE": settings.world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    if buckets != "auto":
        place["STRATA_BUCKET_MIB"] = buckets
    os.environ.update({name: str(value) for name, value in place.items()})
    try:
        return workers.strata(settings, network, settings.steps)
    finally:
        for name in place:
            del os.environ[name]


def together(ranks, request):
    """Milliseconds of the median step and the mean milliseconds a step of its sums, of the rank that waited least."""
    for worker in ranks:
        worker.process.stdin.write(request + "\n")
        worker.process.stdin.flush()
    answers = [worker.answer() for worker in ranks]
    return statistics.median(answers[0]["ms"]), min(answer["summing_ms"] for answer in answers)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="default: the four networks of the page")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--world", type=int, default=2)
    parser.add_argument("--buckets", nargs="+", default=["auto"], metavar="MIB", help="sizes to compare, or auto")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--strata", default=str(run.ROOT / "target/release/strata"))
    parser.add_argument("--results", type=Path, default=run.ROOT / "results/bench")
    settings = parser.parse_args()
    settings.set = [word for key in settings.set for word in ("--set", key)]
    wanted = settings.networks or ["googlenet", "resnet20", "resnet50", "efficientnet-b0"]
    settings.networks = [network for network in run.NETWORKS if network.name in wanted]
    if not settings.networks:
        parser.error("NETWORK is one that run.py knows")
    os.chdir(run.ROOT)
    return settings


if __name__ == "__main__":
    main()
