"""From a trained disc network to ``discs.onnx``: weights of half precision in the file, arithmetic of single precision.

Shapes: L disc of a patient, V view, H W pixels, K grade.
"""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from spinenet.crops import DISC_ARRAYS, DISC_PAIR, CropSpec
from spinenet.labels import LEVELS
from spinenet.system.files import replacing
from spinenet.train.discs.network import DiscNetwork
from spinenet.train.export import write_onnx
from spinenet.train.exported_weights import HALF

HALVED_FROM = 4000
"""Smaller tensors keep single precision: they are a fiftieth of the file, and depthwise kernels, with few numbers to a
sum, would be most of the difference (on patients 6e-3 in probability with all halved, 1e-3 so)."""
TOLERANCE = 2e-3
"""Largest allowed difference between torch and the file, in probability: what half precision of the weights costs."""


class NamedAnswers(nn.Module):
    """The network with its answers in the order of ``raters``, which is that of the file's outputs."""

    def __init__(self, network: DiscNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops_LVHW: Tensor, present_LV: Tensor, level_L: Tensor) -> tuple[Tensor, ...]:
        """(L, K) log-probabilities of each target."""
        answers = self.network(crops_LVHW, present_LV, level_L)
        return tuple(answers[name] for name in self.network.raters)


def export_discs(network: DiscNetwork, spec: CropSpec, path: Path) -> float:
    """Write ``discs.onnx`` (1 to 10 discs) with one output a target; returns the largest difference from torch."""
    model = NamedAnswers(network).eval()
    discs = torch.export.Dim("discs", min=1, max=len(LEVELS))
    outputs = list(network.raters)
    # Seven: an example of one disc would fix their number.
    write_onnx(model, example_discs(7, spec), path, list(DISC_ARRAYS), outputs, tuple({0: discs} for _ in DISC_ARRAYS))
    with replacing(path) as partial:
        onnx.save(half_weights(onnx.load(path)), str(partial))
        onnx.checker.check_model(str(partial))
    return max(_difference(model, example_discs(count, spec), path) for count in (1, 2, 5, 7, len(LEVELS)))


def example_discs(discs: int, spec: CropSpec) -> tuple[Tensor, ...]:
    """Made-up discs of one patient, some of them without one of the views."""
    present_LV = torch.ones(discs, len(DISC_PAIR))
    present_LV[::3, 0] = 0.0
    crops_LVHW = 1.2 * torch.rand(discs, len(DISC_PAIR), spec.rows, spec.columns) * present_LV[:, :, None, None]
    return crops_LVHW, present_LV, torch.arange(discs)


def half_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with weights stored as float16 and cast to float32 where they are used, which ONNX Runtime does once,
    when it loads the file."""
    graph, casts = model.graph, []
    for weight in graph.initializer:
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < HALVED_FROM:
            continue
        name, values = weight.name, numpy_helper.to_array(weight)
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}{HALF}"))
        casts.append(helper.make_node("Cast", [weight.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def _difference(model: nn.Module, inputs: tuple[Tensor, ...], path: Path) -> float:
    """Largest difference in probability on the same inputs."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    ours = session.run(None, dict(zip(DISC_ARRAYS, (value.numpy() for value in inputs), strict=True)))
    with torch.no_grad():
        theirs = model(*inputs)
    return max(float(np.abs(np.exp(one) - other.exp().numpy()).max()) for one, other in zip(ours, theirs, strict=True))
