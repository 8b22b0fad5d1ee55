#!/usr/bin/env python3
"""Points of a sweep as tasks of HyperQueue: `hq-points.py FILE [OPTION…]`, with the options of `strata sweep`.

Connects to a running server (`hq server start`, workers by `hq worker start` or `hq alloc add slurm`); with --local it starts a
server and a worker of its own. CORES is the number of cores of a point. Needs `pip install hyperqueue`.
"""
import csv
import os
import subprocess
import sys

from hyperqueue import Client, Job, LocalCluster
from hyperqueue.cluster import WorkerConfig
from hyperqueue.ffi.protocol import ResourceRequest

arguments = sys.argv[1:]
local = "--local" in arguments
if local:
    arguments.remove("--local")
strata = os.environ.get("STRATA", "strata")
cores = int(os.environ.get("CORES", "1"))
listed = subprocess.run([strata, "sweep", *arguments, "--list", "--format", "csv"], check=True, capture_output=True, text=True)
points = list(csv.DictReader(listed.stdout.splitlines()))


def run(client: Client) -> None:
    os.makedirs("hq-logs", exist_ok=True)
    job = Job(max_fails=len(points))
    for point in points:
        command = [strata, "sweep", *arguments, "--threads", str(cores), "--point", point["key"]]
        log = os.path.abspath(f"hq-logs/{point['key']}.log")
        job.program(command, name=point["key"], cwd=os.getcwd(), resources=ResourceRequest(cpus=cores), stdout=log, stderr=log)
    submitted = client.submit(job)
    client.wait_for_jobs([submitted], raise_on_error=False)
    failed = client.get_failed_tasks(submitted)
    if failed:
        sys.exit(f"{len(failed)} of {len(points)} points failed: {failed}")


if local:
    with LocalCluster() as cluster:
        cluster.start_worker(WorkerConfig(cores=os.cpu_count()))
        run(cluster.client())
else:
    run(Client())
