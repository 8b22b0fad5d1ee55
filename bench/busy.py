"""Times training steps next to other busy processes: how much of their speed Strata and PyTorch keep on a machine in use.

usage: busy.py [NETWORK…] [--loops 0,1,2] [--rounds 5] [--steps 10] [--modes channels_last,bf16] [--docs PAGE]
A busy process is an infinite loop. Contenders take turns under the same load; times are means over whole rounds, because
under load the slow steps matter. Uses only Python's standard library, like run.py.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import report
import run
import workers

COLUMNS = ["network", "busy_processes", "contender", "ms", "ms_min", "ms_max", "images_per_second", "kept"]
MARKS = "<!-- written by make bench-busy -->", "<!-- to here -->"


def main():
    settings = arguments()
    rows = []
    for network in settings.networks:
        rows += measure(settings, network)
        settings.results.mkdir(parents=True, exist_ok=True)
        report.write_atomic(settings.results / "busy.csv", report.to_csv(COLUMNS, rows))
    header, lines = table(rows)
    for line in [header, *lines]:
        print("  ".join(line))
    if settings.docs:
        into_page(settings.docs, header, lines)


def measure(settings, network):
    """Rows of one network: every contender at every load."""
    ours = workers.strata(settings, network, settings.steps)
    contenders = [ours]
    try:
        about = ours.answer()
        contenders += [workers.peer(settings, network, mode, about) for mode in settings.modes]
        for peer in contenders[1:]:
            peer.answer()
        for worker in contenders:
            worker.ask("train 3")
        quiet, rows = {}, []
        for loops in settings.loops:
            times = rounds(settings, network, contenders, loops)
            for name, ms in times.items():
                median = statistics.median(ms)
                quiet.setdefault(name, median)
                rows.append({
                    "network": network.name, "busy_processes": loops, "contender": name, "ms": report.digits(median),
                    "ms_min": report.digits(min(ms)), "ms_max": report.digits(max(ms)),
                    "images_per_second": round(1000 * settings.batch / median), "kept": round(quiet[name] / median, 3),
                })  # fmt: skip
        return rows
    except workers.WorkerFailed as failed:
        sys.exit(f"{network.name}: {failed}")
    finally:
        for worker in contenders:
            worker.end()


def rounds(settings, network, contenders, loops):
    """Milliseconds per step of each contender, one value per round."""
    times = {worker.name: [] for worker in contenders}
    with busy(loops):
        for number in range(settings.rounds):
            turn = number % len(contenders)
            for worker in contenders[turn:] + contenders[:turn]:
                start = time.monotonic()
                worker.ask(f"train {settings.steps}")
                # The worker runs one extra step first.
                times[worker.name].append(1000 * (time.monotonic() - start) / (settings.steps + 1))
            shown = ", ".join(f"{name} {ms[-1]:.0f}" for name, ms in times.items())
            run.say(f"{network.name}, {loops} busy processes, round {number + 1}, ms: {shown}")
    return times


@contextmanager
def busy(count):
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        time.sleep(0.5 if count else 0)
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def table(rows):
    """One line per network and load."""
    names = list(dict.fromkeys(row["contender"] for row in rows))
    header = ["network", "busy processes"]
    header += [f"{'Strata' if name == 'strata' else name.replace('_', ' ')}, images/s" for name in names]
    found = {(row["network"], row["busy_processes"], row["contender"]): row for row in rows}
    lines = []
    for network, loops in dict.fromkeys((row["network"], row["busy_processes"]) for row in rows):
        cells = [found[network, loops, name] for name in names]
        kept = [f" ({cell['kept']:.2f})" if loops else "" for cell in cells]
        lines.append([network, str(loops), *(f"{cell['images_per_second']}{share}" for cell, share in zip(cells, kept))])
    return header, lines


def into_page(page, header, lines):
    """Replaces the text between the markers."""
    before, begin, rest = page.read_text().partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not begin or not end:
        sys.exit(f"{page} has no markers {' '.join(MARKS)}")
    shown = "\n".join(f"| {' | '.join(line)} |" for line in [header, ["---"] * len(header), *lines])
    report.write_atomic(page, f"{before}{begin}\n\n{shown}\n\n{end}{after}")


def arguments():
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="default: googlenet and resnet20")
    parser.add_argument("--loops", default="0,1,2", help="numbers of busy processes; the first is 0, the reference")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--modes", default="channels_last,bf16", help="modes of PyTorch; none: Strata alone")
    parser.add_argument("--strata", default=str(run.ROOT / "target/release/strata"))
    parser.add_argument("--python", default=str(cache / "strata/peers/bin/python"), help="interpreter with torch")
    parser.add_argument("--results", type=Path, default=run.ROOT / "results/bench")
    parser.add_argument("--docs", type=Path, help="page whose table between the markers is replaced")
    settings = parser.parse_args()
    settings.modes = [mode for mode in settings.modes.split(",") if mode != "none"]
    settings.loops = [int(loops) for loops in settings.loops.split(",")]
    settings.set = []
    wanted = settings.networks or ["googlenet", "resnet20"]
    settings.networks = [network for network in run.NETWORKS if network.name in wanted]
    if settings.loops[0] != 0 or not settings.networks:
        parser.error("--loops begins with 0, and NETWORK is one that run.py knows")
    os.chdir(run.ROOT)
    return settings


if __name__ == "__main__":
    main()
