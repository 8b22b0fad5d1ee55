"""Results of bench/run.py as rows, as CSV, and as a table in a Markdown page."""

import csv
import io
import json
import os
import statistics
from pathlib import Path

from modes import MODES, of_library

COLUMNS = [
    "network", "phase", "input", "batch", "threads", "steps", "rounds", "precision",
    "strata_ms", *(f"{mode}_ms" for mode in MODES), "keras_ms",
    "fastest_peer", "ratio", "ratio_min", "ratio_max", "target", "met",
    "fastest_openvino", "openvino_ratio", "openvino_ratio_min", "openvino_ratio_max",
    "gflops", "peak", "arithmetic_bound_ms", "memory_bound_ms", "waited", "data",
    "strata_mib", "fastest_peer_mib", "least_peer_mib",
]
BEGIN, END = "<!-- written by make bench -->", "<!-- to here -->"


def row(settings, network, phase, steps, medians, last, about, limits):
    """One row. `medians` has the median milliseconds of each round, by contender."""
    ours = medians["strata"]
    ms = statistics.median(ours)
    work, threads = about[phase], about["threads"]
    arithmetic = work["flops"] / (1e6 * limits[f"{about['precision']}_gflops"])
    found = {
        "network": network.name,
        "phase": phase,
        "input": "x".join(str(side) for side in about["input"]),
        "batch": about["batch"],
        "threads": threads,
        "steps": steps,
        "rounds": settings.rounds,
        "precision": about["precision"],
        "strata_ms": digits(ms),
        "gflops": digits(work["flops"] / (1e6 * ms)),
        "peak": round(arithmetic / ms, 4),
        "arithmetic_bound_ms": digits(arithmetic),
        "memory_bound_ms": digits(work["bytes"] / (1e6 * limits["copy_gigabytes"])),
    }
    found["strata_mib"] = round(last["strata"]["peak_mib"])
    if phase == "train":
        # As fractions of the wall time, and of the CPU time of all cores.
        found["waited"] = round(last["strata"]["waited_ms"] / ms, 4)
        found["data"] = round(last["strata"]["data_ms"] / (ms * threads), 4)
    for name, times in medians.items():
        found[f"{name}_ms"] = digits(statistics.median(times))
    # The target is for PyTorch, which uses the same library; Keras is for reference.
    if peers := of_library(medians, "torch"):
        fastest, ratios = fastest_of(peers, medians)
        ratio = statistics.median(ratios)
        target = network.train_target if phase == "train" else network.eval_target
        found |= {"fastest_peer": fastest, "target": target, "met": "yes" if ratio >= target else "no"}
        found |= spread("ratio", ratios)
        found["fastest_peer_mib"] = round(last[fastest]["peak_mib"])
        found["least_peer_mib"] = round(min(last[name]["peak_mib"] for name in peers))
    if peers := of_library(medians, "openvino"):
        found["fastest_openvino"], ratios = fastest_of(peers, medians)
        found |= spread("openvino_ratio", ratios)
    return {column: found.get(column, "") for column in COLUMNS}


def fastest_of(peers, medians):
    """The fastest of the peers, and its time over Strata's in each round."""
    fastest = min(peers, key=lambda name: statistics.median(medians[name]))
    return fastest, [theirs / mine for theirs, mine in zip(medians[fastest], medians["strata"])]


def spread(column, ratios):
    values = {"": statistics.median(ratios), "_min": min(ratios), "_max": max(ratios)}
    return {column + suffix: round(value, 3) for suffix, value in values.items()}


def digits(value):
    """Rounded to three significant digits."""
    return float(f"{value:.3g}")


def write(folder, rows, starts, machine):
    """table.csv, start.csv and machine.json, each written atomically, so that interrupted runs keep what was measured."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "table.csv", to_csv(COLUMNS, rows))
    if starts:
        write_atomic(folder / "start.csv", to_csv(list(starts[0]), starts))
    write_atomic(folder / "machine.json", json.dumps(machine, indent=2) + "\n")


def to_csv(columns, rows):
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_atomic(path, text):
    new = path.with_name(path.name + ".new")
    with open(new, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


def ratio_text(found, column="ratio"):
    if not found[column]:
        return ""
    return f"{found[column]:.2f} ({found[column + '_min']:.2f}–{found[column + '_max']:.2f})"


def lines(rows):
    """The columns that fit on a page."""
    modes = [mode for mode in (*MODES, "keras") if any(r[f"{mode}_ms"] for r in rows)]
    openvino = bool(of_library(modes, "openvino"))
    header = ["network", "phase", "Strata, ms", *(mode.replace("_", " ") for mode in modes)]
    header += ["faster than the fastest of PyTorch", "target", *(["than OpenVINO"] if openvino else [])]
    header += ["of the peak", "bounds, ms", "MiB", "its MiB"]
    table = [header]
    for r in rows:
        cells = [f"{r['network']} {r['input']}", r["phase"], r["strata_ms"], *(r[f"{mode}_ms"] for mode in modes)]
        bounds = f"{r['arithmetic_bound_ms']} / {r['memory_bound_ms']}"
        cells += [ratio_text(r), r["target"], *([ratio_text(r, "openvino_ratio")] if openvino else [])]
        cells += [f"{100 * r['peak']:.0f} %", bounds, r["strata_mib"], r["fastest_peer_mib"]]
        table.append([str(cell) for cell in cells])
    return table


def facts(rows, starts, machine):
    """Remarks on the table, one sentence each."""
    limits = machine["limits"]
    said = [
        f"{machine['date']}, {machine['commit']}: {machine['processor']}, {machine['threads']} of {machine['cores']} "
        f"cores, libtorch {machine.get('libtorch', '?')} ({machine.get('cpu_capability', '?')}), {machine['rounds']} "
        f"rounds, load before {machine['load_before']}.",
        f"Peaks measured: {limits['fp32_gflops']:.0f} GFLOP/s in fp32, {limits['bf16_gflops']:.0f} in bf16, "
        f"{limits['copy_gigabytes']:.0f} GB/s.",
    ]
    if after := machine.get("limits_after"):
        numbers = ", ".join(f"{after[what]:.0f}" for what in ("fp32_gflops", "bf16_gflops", "copy_gigabytes"))
        said.append(f"Peaks at the end of the run: {numbers}.")
    aimed = [r for r in rows if r["met"]]
    if aimed:
        missed = [f"{r['network']} {r['phase']}" for r in aimed if r["met"] == "no"]
        which = f"; missed: {', '.join(missed)}" if missed else ""
        said.append(f"Targets met: {len(aimed) - len(missed)} of {len(aimed)}{which}.")
    trained = [r for r in rows if r["phase"] == "train"]
    if trained:
        waited, data = (max(trained, key=lambda r: r[what]) for what in ("waited", "data"))
        said.append(
            f"Waiting for a batch took at most {100 * waited['waited']:.1f} % of a step ({waited['network']}), gathering and "
            f"augmentation at most {100 * data['data']:.1f} % of the CPU time ({data['network']})."
        )
    for start in starts:
        theirs = f", PyTorch eager {start['torch_seconds']} s" if start["torch_seconds"] else ""
        ours = f"{start['network']}: Strata {start['strata_seconds']} s"
        said.append(f"Start to the end of the first training step of {ours}{theirs}.")
    if machine.get("idle_share", 0.0) > 0.02:
        said.append(f"Warning: sleeping contenders used {100 * machine['idle_share']:.0f} % of a core.")
    if left_out := machine.get("left_out"):
        said.append(f"Excluded because they failed: {', '.join(left_out)}.")
    return said


def text(rows, starts, machine):
    table = lines(rows)
    widths = [max(len(line[index]) for line in table) for index in range(len(table[0]))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in table]
    return "\n".join(shown + [""] + facts(rows, starts, machine))


def into_page(page, rows, starts, machine):
    """Replaces the text between the markers."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page} has no markers {BEGIN} and {END}")
    table = lines(rows)
    table.insert(1, ["---"] * len(table[0]))
    shown = "\n".join(f"| {' | '.join(line)} |" for line in table)
    said = "\n".join(f"- {fact}" for fact in facts(rows, starts, machine))
    write_atomic(Path(page), f"{before}{BEGIN}\n\n{shown}\n\n{said}\n\n{END}{after}")
