"""ONNX files: the same numbers as torch, for any number of levels and slices, each in one file."""

import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from spinenet.crops import BAG_ARRAYS, build_bag
from spinenet.datasets import load_dataset
from spinenet.datasets.masks import locate_all
from spinenet.labels import MAX_GRADES, TARGETS
from spinenet.locating.discs import candidate_slices, locator_grid, normalise, pad_to_multiple
from spinenet.readers import read_study
from spinenet.train.export import TOLERANCE, ClassProbabilities, GraderEnsemble, difference, example_bag
from spinenet.train.networks import Grader

REAL = os.environ.get("SPINENET_SPIDER")


@pytest.fixture(scope="module")
def studies(phantom_root):
    """Real scans where there are some, phantoms where not: (study, masks)."""
    dataset = load_dataset("spider", Path(REAL)) if REAL else load_dataset("phantom", phantom_root)
    labelled = dataset.studies[:: len(dataset.studies) // 3]
    return [(read_study(one.source), one.masks) for one in labelled]


def tensors(bag):
    return tuple(torch.as_tensor(value) for value in bag.inputs().values())


def test_the_grader_gives_the_same_probabilities_in_both(untrained, studies):
    model = GraderEnsemble([untrained.grader]).eval()
    for study, masks in studies:
        bag = build_bag(locate_all(study.series, masks), untrained.spec)
        assert difference(model, tensors(bag), untrained.folder / "grader.onnx") < TOLERANCE <= 1e-4


def test_the_locator_gives_the_same_probabilities_in_both(untrained, studies):
    model = ClassProbabilities(untrained.locator).eval()
    for study, _ in studies:
        for series in study.series:
            slices = [series.voxels_SRC[index] for index in candidate_slices(series)[:2]]
            grids = [locator_grid(one, series.spacing_mm[1:]) for one in slices]
            images = np.stack([pad_to_multiple(normalise(grid.image_HW)) for grid in grids])[:, None]
            assert difference(model, (torch.as_tensor(images),), untrained.folder / "locator.onnx") < 1e-4


@pytest.mark.parametrize(("levels", "slices"), [(1, 1), (10, 1), (5, 14), (4, 2)])
def test_any_number_of_levels_and_slices_goes_through_one_file(untrained, levels, slices):
    inputs = example_bag(1, levels, slices, untrained.spec)
    if slices > 1:  # some places empty, never all of a level
        inputs[BAG_ARRAYS.index("mask_LS")][:, ::2, -1] = False
    assert difference(GraderEnsemble([untrained.grader]).eval(), inputs, untrained.folder / "grader.onnx") < 1e-4


@pytest.mark.parametrize(("count", "rows", "columns"), [(1, 64, 48), (5, 256, 192)])
def test_any_number_and_size_of_slices_goes_through_one_file(untrained, count, rows, columns):
    images = (torch.rand(count, 1, rows, columns),)
    assert difference(ClassProbabilities(untrained.locator).eval(), images, untrained.folder / "locator.onnx") < 1e-4


def test_weights_lie_in_the_file_itself(untrained):
    assert sorted(path.name for path in untrained.folder.iterdir()) == ["grader.onnx", "locator.onnx"]
    for name in ("grader.onnx", "locator.onnx"):
        graph = onnx.load(untrained.folder / name, load_external_data=False).graph
        assert graph.initializer and not any(one.external_data for one in graph.initializer)


def test_the_graders_inputs_are_the_arrays_of_a_bag(untrained):
    session = onnxruntime.InferenceSession(str(untrained.folder / "grader.onnx"), providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == list(BAG_ARRAYS)
    assert session.get_outputs()[0].shape[-2:] == [len(TARGETS), MAX_GRADES]


@torch.no_grad()
def test_several_graders_are_the_mean_of_their_probabilities(untrained):
    torch.manual_seed(1)
    members = [untrained.grader, Grader(width=2, features=8, dropout=0.0).eval()]
    inputs = example_bag(1, 3, 2, untrained.spec)
    expected = torch.stack([member(*inputs)[0].exp() for member in members]).mean(0)
    assert torch.allclose(GraderEnsemble(members).eval()(*inputs)[0].exp(), expected, atol=1e-5)


def test_a_difference_would_be_seen(untrained):
    torch.manual_seed(2)
    other = GraderEnsemble([Grader(width=2, features=16, dropout=0.1).eval()]).eval()
    inputs = example_bag(1, 3, 2, untrained.spec)
    assert difference(other, inputs, untrained.folder / "grader.onnx") > 1e-3
