"""Writes docs/licences.md: the licences of every crate that is built into strata on Linux, and of what is beside them."""

import collections
import json
import subprocess

COMMAND = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"]
metadata = json.loads(subprocess.run(COMMAND, check=True, capture_output=True).stdout)
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
packages = {package["id"]: package for package in metadata["packages"]}

# From the program along normal and build dependencies; what only tests need is not passed on.
root = metadata["resolve"]["root"]
reached, waiting = set(), [root]
while waiting:
    package = waiting.pop()
    if package not in reached:
        reached.add(package)
        for dependency in nodes[package]["deps"]:
            if any(kind["kind"] in (None, "build") for kind in dependency["dep_kinds"]):
                waiting.append(dependency["pkg"])

by_licence = collections.defaultdict(list)
for package in reached - {root}:
    licence = packages[package]["license"] or "see " + (packages[package]["license_file"] or "its repository")
    by_licence[licence.replace("/", " OR ")].append(f"{packages[package]['name']} {packages[package]['version']}")

with open("docs/licences.md", "w") as page:
    page.write("# Licences\n\n")
    page.write("Strata is under the MIT licence ([LICENSE](../LICENSE)). libtorch (BSD-3-Clause) is not passed on with it: `make setup`\n")
    page.write("brings it from the torch wheel on PyPI. Nor are datasets: Fashion-MNIST is under the MIT licence, those of CIFAR-10 and\n")
    page.write("ImageNet are their makers'. The crates that go into the program on Linux, by licence; `python3 scripts/licences.py` writes\n")
    page.write("this page.\n\n")
    page.write("| licence | crates |\n| --- | --- |\n")
    for licence, crates in sorted(by_licence.items(), key=lambda entry: (-len(entry[1]), entry[0])):
        page.write(f"| {licence} | {', '.join(sorted(crates))} |\n")
