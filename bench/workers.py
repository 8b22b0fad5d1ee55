"""Contenders as processes that sleep until they get a request, so that they can take turns with warm memory."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BENCH = Path(__file__).parent
TICK = os.sysconf("SC_CLK_TCK")


class WorkerFailed(Exception):
    """A worker exited instead of answering."""


def environment(threads):
    """Everybody's: as many threads as asked for, and OpenMP as libtorch comes with it."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_", "KMP_", "MKL_"))}
    return clean | {"OMP_NUM_THREADS": str(threads)}


class Worker:
    """A process that answers lines on its standard input with lines of JSON."""

    def __init__(self, name, command, threads):
        self.name, self.began = name, time.monotonic()
        self.errors = tempfile.TemporaryFile("w+")
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=self.errors, text=True, env=environment(threads)
        )

    def answer(self):
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        self.process.wait()
        self.errors.seek(0)
        said = [line.strip() for line in self.errors if line.strip()]
        raise WorkerFailed(f"{self.name} ended ({self.process.returncode}): {said[-1] if said else 'no output'}")

    def ask(self, request):
        try:
            self.process.stdin.write(request + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # `answer` reports why
        return self.answer()

    def cpu_seconds(self):
        """User and system time so far, over all threads."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / TICK

    def end(self):
        """Closes its standard input, at which it exits, and waits for it."""
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()


def strata(settings, network, steps):
    """`strata bench --worker` of a network."""
    command = [settings.strata, "bench", network.name, "--worker", "--steps", str(steps)]
    command += ["--batch", str(settings.batch), "--threads", str(settings.threads), *network.overrides, *settings.set]
    return Worker("strata", command, settings.threads)


def peer(settings, network, mode, about):
    """bench/peer.py in a mode, of the network that Strata told `about`."""
    shape = "x".join(str(side) for side in about["input"])
    command = [settings.python, BENCH / "peer.py", network.name, mode, shape, about["classes"], settings.batch]
    command += [settings.threads, network.optimizer, about["precision"]]
    return Worker(mode, [str(word) for word in command], settings.threads)


def keras(settings):
    command = [settings.python, BENCH / "keras_googlenet.py", settings.batch, settings.threads]
    return Worker("keras", [str(word) for word in command], settings.threads)


def check_identical(worker, theirs, ours):
    """Refuses to compare different networks."""
    for count in ("params", "buffers", "macs", "activations"):
        if count in theirs and theirs[count] != ours[count]:
            sys.exit(f"{ours['name']}: {worker} has {theirs[count]} {count}, Strata {ours[count]}: not the same network")
