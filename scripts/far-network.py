"""Two network namespaces as hosts that are far apart: a process between them delays every packet and drops some.

usage: far-network.py HOST HOST [--delay MILLISECONDS] [--loss FRACTION]

Makes the namespaces (`ip netns`), each with an interface `far0`, 10.77.0.1 and 10.77.0.2, and prints a line when they are
joined. SIGSTOP cuts the connection without a word to either end. SIGTERM removes the namespaces and prints how many packets
passed and were dropped. For `make cluster-test`: many kernels have no netem. Needs root, /dev/net/tun and iproute2.
"""

import argparse
import ctypes
import fcntl
import heapq
import os
import random
import select
import signal
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI, CLONE_NEWNET = 0x400454CA, 0x0001, 0x1000, 0x40000000


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("hosts", nargs=2, metavar="HOST")
    parser.add_argument("--delay", type=float, default=20, help="milliseconds one way")
    parser.add_argument("--loss", type=float, default=0.01, help="fraction of packets")
    settings = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    counts = {"passed": 0, "dropped": 0}
    try:
        ends = [interface(host, f"10.77.0.{number}") for number, host in enumerate(settings.hosts, 1)]
        print("joined", flush=True)
        relay(ends, settings.delay / 1000, settings.loss, counts)
    finally:
        for host in settings.hosts:
            subprocess.run(["ip", "netns", "delete", host], check=False)
        print(f"{counts['passed']} packets passed, {counts['dropped']} dropped", flush=True)


def interface(host, address):
    """The file of a TUN device in a new namespace: what is sent there is read here."""

    def ip(*words):
        subprocess.run(["ip", *words], check=True)

    ip("netns", "add", host)
    # A device belongs to the namespace of the thread that makes it.
    libc = ctypes.CDLL(None, use_errno=True)
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    other = os.open(f"/var/run/netns/{host}", os.O_RDONLY)
    if libc.setns(other, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), f"cannot enter the namespace {host}")
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"far0", IFF_TUN | IFF_NO_PI))
    libc.setns(own, CLONE_NEWNET)
    os.close(own), os.close(other)
    inside = ("-n", host)
    ip(*inside, "address", "add", f"{address}/24", "dev", "far0")
    ip(*inside, "link", "set", "far0", "up")
    ip(*inside, "link", "set", "lo", "up")
    return device


def relay(ends, delay, loss, counts):
    """Passes packets on, `delay` seconds late."""
    draws, waiting = random.Random(0), []  # (when, number, to, packet)
    while True:
        timeout = max(waiting[0][0] - time.monotonic(), 0) if waiting else None
        readable, _, _ = select.select(ends, [], [], timeout)
        now = time.monotonic()
        for end in readable:
            packet = os.read(end, 65536)
            if draws.random() < loss:
                counts["dropped"] += 1
            else:
                counts["passed"] += 1
                heapq.heappush(waiting, (now + delay, counts["passed"], ends[1 - ends.index(end)], packet))
        while waiting and waiting[0][0] <= now:
            _, _, to, packet = heapq.heappop(waiting)
            try:
                os.write(to, packet)
            except OSError:
                pass  # a full queue drops packets, as any network does


if __name__ == "__main__":
    main()
