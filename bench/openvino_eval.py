"""Evaluation by OpenVINO, of the network that bench/peer.py has as a PyTorch module."""

import time

import openvino
import torch
import torch.nn.functional as F

# Of logits, relative to the largest. OpenVINO and PyTorch add in another order, and in bfloat16 they round at other places.
TOLERANCE = {"fp32": 1e-3, "bf16": 1e-1}


def evaluation(network, images, labels, mode, bf16, threads):
    """Returns a function that evaluates `count` batches and returns a time for each, in milliseconds.

    With several streams, as many batches as streams are computed at once; the time of a batch is then its share.
    """
    network.eval()
    with torch.inference_mode():
        expected = network(images)
    model = openvino.convert_model(network, example_input=images, input=list(images.shape))
    compiled = openvino.Core().compile_model(model, "CPU", {
        "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": mode.streams,
        # By default, it uses one thread of each core.
        "ENABLE_HYPER_THREADING": True,
    })  # fmt: skip
    batch = images.contiguous().numpy()
    check(torch.from_numpy(compiled(batch)[0]), expected, TOLERANCE["bf16" if bf16 else "fp32"])
    queue = openvino.AsyncInferQueue(compiled, mode.streams)
    queue.set_callback(lambda request, _: F.cross_entropy(torch.from_numpy(request.get_output_tensor().data), labels).item())

    def together():
        start = time.perf_counter()
        for _ in range(mode.streams):
            queue.start_async(batch, share_inputs=True)
        queue.wait_all()
        return 1000 * (time.perf_counter() - start) / mode.streams

    return lambda count: [together() for _ in range(count)]


def check(found, expected, tolerance):
    """A converted network that computes something else is no peer."""
    error = ((found - expected).abs().max() / expected.abs().max()).item()
    if not error < tolerance:
        raise SystemExit(f"OpenVINO's logits differ from PyTorch's by {error:.2g} of the largest: not the same network")
