"""From trained weights to ONNX files and a bundle, each checked against torch.

A file keeps every weight as the network has it, under its name: norms beside convolutions, nothing transposed or
computed beforehand. ONNX Runtime does that when it opens the file, and a training can begin with it
(``exported_weights``).
"""

import logging
import warnings
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import compose, helper
from onnxscript import optimizer
from torch import Tensor, nn

from spinenet.crops import BAG_ARRAYS, CropSpec
from spinenet.labels import LEVELS, VIEWS
from spinenet.locating.discs import SIZE_MULTIPLE
from spinenet.locating.measuring.fine_crops import ROWS
from spinenet.system.files import replacing
from spinenet.train.exported_weights import WEIGHTS_KEPT
from spinenet.train.networks import Locator

OPSET = 20
LOG_PROBABILITIES = "log_probabilities"
"""First output of a grader."""
TOLERANCE = 1e-4
"""Largest allowed difference between torch and ONNX Runtime, in probability."""


class GraderEnsemble(nn.Module):
    """The mean of several graders' probabilities, as log-probabilities: one graph, one file."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """As ``Grader.forward``; attention is the members' mean."""
        answers = [member(*inputs) for member in self.members]
        logp = torch.stack([logp for logp, _ in answers])
        shares = torch.stack([shares for _, shares in answers])
        return torch.logsumexp(logp, 0) - float(np.log(len(self.members))), shares.mean(0)


class ClassProbabilities(nn.Module):
    """A network of logits at every pixel, with its softmax: what the bundle holds."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images_N1HW: Tensor) -> Tensor:
        """(N, classes, H, W) probabilities."""
        logits_NCHW: Tensor = self.network(images_N1HW)
        return logits_NCHW.softmax(1)


def export_locator(locator: Locator, path: Path) -> float:
    """Write ``locator.onnx`` (any number and size of slices); returns the largest difference from torch."""
    model = ClassProbabilities(locator).eval()
    example = (torch.rand(2, 1, 8 * SIZE_MULTIPLE, 6 * SIZE_MULTIPLE),)
    size = {axis: torch.export.Dim(name, min=2, max=256) * SIZE_MULTIPLE for axis, name in ((2, "h"), (3, "w"))}
    write_onnx(model, example, path, ["images"], ["probabilities"], {"images_N1HW": {0: torch.export.Dim("n"), **size}})
    other = (torch.rand(3, 1, 10 * SIZE_MULTIPLE, 12 * SIZE_MULTIPLE),)
    return max(difference(model, inputs, path) for inputs in (example, other))


def export_segmenter(network: nn.Module, path: Path, side: int = ROWS) -> float:
    """Write ``segmenter.onnx``, or ``sac.onnx`` of crops of another ``side`` (any number of them); returns the largest
    difference from torch."""
    model = ClassProbabilities(network).eval()
    example = (torch.rand(2, 1, side, side),)
    write_onnx(model, example, path, ["crops"], ["probabilities"], ({0: torch.export.Dim("n")},))
    return max(difference(model, inputs, path) for inputs in (example, (torch.rand(5, 1, side, side),)))


def export_grader(members: Sequence[nn.Module], spec: CropSpec, path: Path) -> float:
    """Write ``grader.onnx`` (any number of studies, levels and slices); returns the largest difference from torch."""
    model = GraderEnsemble(members).eval()
    example = example_bag(2, 5, 3, spec)
    studies, levels, slices = (torch.export.Dim(name, max=64) for name in ("b", "l", "s"))
    axes = [{0: studies, 1: levels, 2: slices} for _ in BAG_ARRAYS[:-1]] + [{0: studies, 1: levels}]
    write_onnx(model, example, path, list(BAG_ARRAYS), [LOG_PROBABILITIES, "attention"], (tuple(axes),))
    return max(difference(model, inputs, path) for inputs in (example, example_bag(1, 7, 2, spec)))


def example_bag(studies: int, levels: int, slices: int, spec: CropSpec) -> tuple[Tensor, ...]:
    """A made-up bag of the given size, in the order of BAG_ARRAYS."""
    shape = (studies, levels, slices)
    return (
        torch.rand(*shape, spec.rows, spec.columns),
        torch.rand(*shape, 3),
        torch.randint(0, len(VIEWS), shape),
        15 * torch.randn(*shape),
        torch.rand(shape) > 0.5,
        torch.rand(shape) > -1,
        (torch.arange(levels) % len(LEVELS)).repeat(studies, 1),
    )


def write_onnx(
    model: nn.Module, example: tuple[Tensor, ...], path: Path, inputs: list[str], outputs: list[str], shapes: object
) -> None:
    """Write a module as one ONNX file; ``shapes`` are torch.export's dynamic shapes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # It misses torchvision, which nothing here uses, with a line for each of its operators.
    for exporter in ("torch.onnx", "onnxscript"):
        logging.getLogger(exporter).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "# The axis name: .* will not be used")  # several inputs share an axis
        warnings.filterwarnings("ignore", ".isinstance.treespec, LeafSpec.. is dep")  # torch's own
        program = torch.onnx.export(
            model,
            example,
            input_names=inputs,
            output_names=outputs,
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=shapes,  # type: ignore[arg-type]
            verbose=False,
            optimize=False,  # it would fold norms into convolutions
        )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    written = _simplified(program.model_proto, model.state_dict())
    _forget_sources(written.graph)
    for function in written.functions:
        _forget_sources(function)
    with replacing(path) as partial:
        onnx.save(written, str(partial))
        onnx.checker.check_model(str(partial))


def _simplified(written: onnx.ModelProto, kept: Collection[str]) -> onnx.ModelProto:
    """The model with everything computed that can be, but for what weights have a part in: while that is done they are
    inputs, of which nothing is known."""
    graph = written.graph
    weights = [one for one in graph.initializer if one.name in kept]
    others = [one for one in graph.initializer if one.name not in kept]
    del graph.initializer[:]
    graph.initializer.extend(others)
    graph.input.extend(helper.make_tensor_value_info(one.name, one.data_type, one.dims) for one in weights)
    simple = optimizer.optimize(written)
    inputs = [one for one in simple.graph.input if one.name not in kept]
    del simple.graph.input[:]
    simple.graph.input.extend(inputs)
    simple.graph.initializer.extend(weights)
    helper.set_model_props(simple, {WEIGHTS_KEPT: "as trained"})
    return simple


def _forget_sources(graph: onnx.GraphProto | onnx.FunctionProto) -> None:
    """Remove what says where the code lay on the machine that exported it."""
    for part in (graph, *graph.node, *graph.value_info):
        del part.metadata_props[:]


def difference(model: nn.Module, inputs: tuple[Tensor, ...], path: Path) -> float:
    """Largest absolute difference between a module and its ONNX file on the same inputs, in probability or share."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    feeds = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
    ours = session.run(None, feeds)
    with torch.no_grad():
        answer = model(*inputs)
    theirs = [value.numpy() for value in (answer if isinstance(answer, tuple) else (answer,))]
    if session.get_outputs()[0].name == LOG_PROBABILITIES:
        ours[0], theirs[0] = np.exp(ours[0]), np.exp(theirs[0])
    return max(float(np.abs(one - other).max()) for one, other in zip(ours, theirs, strict=True))


def mean_of_networks(networks: Sequence[bytes]) -> bytes:
    """One network that says the mean of several with the same inputs and outputs of log-probabilities, as
    log-probabilities; a single one as it is."""
    if len(networks) == 1:
        return networks[0]
    members = [
        compose.add_prefix(onnx.load_from_string(content), f"m{index}_", rename_inputs=False)
        for index, content in enumerate(networks)
    ]
    joint = members[0]
    for member in members[1:]:
        joint.graph.node.extend(member.graph.node)
        joint.graph.initializer.extend(member.graph.initializer)
        joint.graph.value_info.extend(member.graph.value_info)
    outputs = list(joint.graph.output)
    del joint.graph.output[:]
    for output in outputs:
        name = output.name.removeprefix("m0_")
        said = [f"m{index}_{name}" for index in range(len(members))]
        joint.graph.node.append(helper.make_node("Mean", said, [f"{name}_mean"]))
        joint.graph.node.append(helper.make_node("LogSoftmax", [f"{name}_mean"], [name], axis=-1))
        output.name = name
        joint.graph.output.append(output)
    onnx.checker.check_model(joint)
    return joint.SerializeToString()
