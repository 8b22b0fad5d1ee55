"""The modes of the peers that bench/run.py compares Strata with. A new one is an entry here; a new library is also a function
in bench/peer.py. Uses only Python's standard library, because run.py and peer.py both import it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mode:
    """What a peer does. `precision` is "fp32", "bf16", or "strata" for the one that Strata computes in."""

    library: str = "torch"
    precision: str = "fp32"
    channels_last: bool = True
    fused: bool = True  # optimizer
    compile: str = ""  # the mode of torch.compile; empty: eager
    freezing: bool = False  # weights are constants of the compiled network
    streams: int = 1  # batches that OpenVINO computes at the same time, each on its part of the threads
    phases: tuple = ("train", "eval")


MODES = {
    "eager": Mode(channels_last=False, fused=False),
    "channels_last": Mode(),
    "bf16": Mode(precision="bf16"),
    "compile": Mode(precision="bf16", compile="default"),
    "compile_fp32": Mode(compile="default"),
    "frozen": Mode(precision="strata", compile="max-autotune", freezing=True, phases=("eval",)),
    "openvino": Mode("openvino", "strata", phases=("eval",)),
    "openvino_2": Mode("openvino", "strata", streams=2, phases=("eval",)),
}


def of_library(names, library):
    """Those of the contenders `names` that are modes of a library."""
    return [name for name in names if name in MODES and MODES[name].library == library]


def takes_part(name, phase):
    """Whether a contender does that phase; Strata and Keras, which have no modes, do both."""
    return name not in MODES or phase in MODES[name].phases
