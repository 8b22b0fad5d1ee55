"""Runs exported networks: reads lines `MODEL.onnx TENSORS.safetensors` and prints for each how far the logits are from those in
the file, relative to the largest, in the reference evaluator of the onnx package and in onnxruntime: `reference runtime`."""

import sys

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from safetensors.numpy import load_file


class LRN(OpRun):
    """The package's own (1.23) sums over neighbours of the first N channels only, N the batch size."""

    def _run(self, x, alpha=None, beta=None, bias=None, size=None):
        before, after = (size - 1) // 2, size // 2
        squares = np.pad(x**2, ((0, 0), (before, after), (0, 0), (0, 0)))
        total = sum(squares[:, i : i + x.shape[1]] for i in range(size))
        return ((x / (bias + alpha / size * total) ** beta).astype(x.dtype),)


for line in sys.stdin:
    path, tensors, reference = line.split()
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    tensors = load_file(tensors)
    run = [onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])]
    if reference == "reference":
        run.insert(0, ReferenceEvaluator(model, new_ops=[LRN]))
    wanted = tensors["logits"]
    off = [float(np.abs(one.run(None, {"input": tensors["input"]})[0] - wanted).max() / np.abs(wanted).max()) for one in run]
    print(*off, flush=True)
