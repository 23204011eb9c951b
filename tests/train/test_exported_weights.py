"""A bundle's networks go back into training as they came out of it: names, norms and answers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from spinenet.crops import DISC_ARRAYS, CropSpec
from spinenet.datasets.splits import DataConfig
from spinenet.errors import BundleError, ConfigError
from spinenet.model.bundle import DISCS, GRADER, LOCATOR, NEEDED, SEGMENTER, load_bundle, write_bundle
from spinenet.train.baselines import build_grader
from spinenet.train.discs.disc_config import DiscModelConfig, TrainDiscsConfig
from spinenet.train.discs.disc_export import example_discs, export_discs
from spinenet.train.discs.disc_run import build_network
from spinenet.train.discs.network import DiscNetwork
from spinenet.train.export import (
    ClassProbabilities,
    GraderEnsemble,
    difference,
    example_bag,
    export_grader,
    export_locator,
    export_segmenter,
    mean_of_networks,
)
from spinenet.train.exported_weights import PACKAGED, bundle_weights
from spinenet.train.networks import Locator
from spinenet.train.provenance import read_provenance
from spinenet.train.run_folder import refuse_early
from spinenet.train.runs import start_run
from spinenet.train.segmenter.unet import Segmenter
from spinenet.train.training_config import (
    GraderModelConfig,
    LocatorModelConfig,
    SegmenterModelConfig,
    TrainGraderConfig,
)
from spinenet.train.weights import start_from

SPEC = CropSpec(rows=64, columns=64, pixel_mm=1.0)
FACTS = {"name": "small", "version": "1", "data": "none", "licence": "none", "disc_crop": SPEC.to_dict()}
RATERS = {"pfirrmann": ("spider", "sudirman"), "modic": ("spider",)}


def grader_of(kind):
    return build_grader(GraderModelConfig(kind, width=2, features=8))


NETWORKS = {
    "locator": (LOCATOR, lambda: Locator(2)),
    "segmenter": (SEGMENTER, lambda: Segmenter(2, 4)),
    "attention": (GRADER, lambda: grader_of("attention")),
    "discs": (DISCS, lambda: DiscNetwork("small", SPEC, RATERS, 32)),
}


def drawn(kind, seed):
    """An untrained network whose norms have seen something, no two channels the same."""
    torch.manual_seed(seed)
    network = NETWORKS[kind][1]()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d | nn.BatchNorm3d):
            nn.init.normal_(norm.running_mean, std=0.3)
            nn.init.uniform_(norm.running_var, 0.5, 2.0)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.3)
    return network.eval()


def written(networks, part, folder):
    """A bundle that has these networks, joined where they are several, as its part."""
    path = folder / part
    if part == GRADER:
        export_grader(networks, SPEC, path)
        contents = [path.read_bytes()]
    else:
        export = {
            LOCATOR: export_locator,
            SEGMENTER: export_segmenter,
            DISCS: lambda one, to: export_discs(one, SPEC, to),
        }
        contents = []
        for network in networks:
            export[part](network, path)
            contents.append(path.read_bytes())
    return bundle_of({part: mean_of_networks(contents)}, folder)


def bundle_of(parts, folder):
    return str(write_bundle(folder / "bundle", {**dict.fromkeys(NEEDED, b""), **parts}, SPEC, {}, FACTS))


@torch.no_grad()
def answers_differ(network, part, bundle):
    """Largest difference in probability between a network of torch and the bundle's."""
    path = Path(bundle) / part
    if part == LOCATOR:
        return difference(ClassProbabilities(network).eval(), (torch.rand(3, 1, 64, 48),), path)
    if part == SEGMENTER:
        return difference(ClassProbabilities(network).eval(), (torch.rand(3, 1, 96, 96),), path)
    if part == GRADER:
        return difference(GraderEnsemble([network]).eval(), example_bag(1, 4, 3, SPEC), path)
    inputs = example_discs(5, SPEC)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    ours = session.run(None, dict(zip(DISC_ARRAYS, (one.numpy() for one in inputs), strict=True)))
    theirs = network.eval()(*inputs)
    pairs = zip(ours, theirs.values(), strict=True)
    return max(float(np.abs(np.exp(one) - other.exp().numpy()).max()) for one, other in pairs)


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_comes_back_from_its_bundle_as_it_was(kind, tmp_path):
    part, trained, other = NETWORKS[kind][0], drawn(kind, 1), drawn(kind, 2)
    bundle = written([trained], part, tmp_path)
    taken = start_from(other, bundle, part)
    assert answers_differ(other, part, bundle) < 1e-5
    assert not taken.resized and not taken.unused
    # What prediction has no use for: the second task, and the cuts of other hospitals' raters.
    assert all(name.startswith("segment.") or name == "heads.pfirrmann.cuts.sudirman" for name in taken.left)
    was, now = trained.state_dict(), other.state_dict()
    halved = {name for name in taken.taken if kind == "discs" and was[name].numel() >= 4000}
    assert all(torch.equal(was[name], now[name]) for name in set(taken.taken) - halved)
    assert all(torch.equal(was[name].half().float(), now[name]) for name in halved)
    assert {name for name in was if "running" in name} <= set(taken.taken)


def test_of_several_that_are_joined_the_first_is_taken(tmp_path):
    first, other = drawn("discs", 1), drawn("discs", 3)
    bundle = written([first, drawn("discs", 2)], DISCS, tmp_path)
    assert len(start_from(other, bundle, DISCS).taken) > 40
    norms = [name for name in first.state_dict() if "running" in name]
    assert norms and all(torch.equal(first.state_dict()[name], other.state_dict()[name]) for name in norms)


def test_norms_that_come_back_have_seen_what_they_saw(tmp_path):
    """Steps of training go on from them: discs like those of before are normalised alike with their own statistics."""
    torch.manual_seed(0)
    trained, crops = Segmenter(2, 4), 2.0 + torch.randn(16, 1, 96, 96)
    for norm in trained.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = None  # the mean over all steps
    for _ in range(3):
        trained(crops)
    bundle = written([trained.eval()], SEGMENTER, tmp_path)
    again = Segmenter(2, 4)
    start_from(again, bundle, SEGMENTER)
    with torch.no_grad():
        predicting, training = (again.train(mode)(crops).softmax(1) for mode in (False, True))
    assert (predicting - training).abs().max() < 0.01


def test_a_file_of_an_older_version_is_refused_in_one_line_before_a_run_begins(tmp_path):
    graph = onnx.helper.make_graph([], "older", [], [])
    bundle = bundle_of({GRADER: onnx.helper.make_model(graph).SerializeToString()}, tmp_path)
    config = TrainGraderConfig(data=DataConfig(root="/nowhere"), init=bundle)
    with pytest.raises(
        ConfigError, match=r"grader.onnx of small 1: exported by a version that folded .*checkpoint"
    ) as one:
        refuse_early(config, tmp_path / "run")
    assert "\n" not in str(one.value)
    with pytest.raises(BundleError, match="/nowhere.zip: no such file"):
        refuse_early(replace(config, init="/nowhere.zip"), tmp_path / "run")


def test_a_bundle_without_the_network_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"small 1 has no discs.onnx; name a bundle exported since, or a checkpoint"):
        bundle_weights(bundle_of({}, tmp_path), DISCS)


def test_a_run_says_what_it_began_with_and_warns_where_that_knows_the_patients_it_is_judged_on(
    tmp_path, phantom_root, caplog
):
    made = {"recipe": {"data": {"name": "spider", "extra": ["phantom"]}}}
    bundle = str(write_bundle(tmp_path / "b", dict.fromkeys(NEEDED, b""), SPEC, {}, {**FACTS, "made_with": made}))
    for fold, warned in ((-1, False), (0, True)):
        out = tmp_path / str(fold)
        data = DataConfig("phantom", str(phantom_root), fold=fold, validation=0.0)
        start_run(TrainGraderConfig(data=data, init=bundle, out=str(out)), out)
        assert read_provenance(out)["started_from"] == "small 1"
        assert ("has learnt from phantom: its patients cannot judge this run" in caplog.text) is warned


@pytest.mark.parametrize("part", [LOCATOR, SEGMENTER, GRADER, DISCS])
def test_training_can_begin_with_every_network_of_the_package(part):
    """The defaults of each training are the sizes of what is shipped."""
    torch.manual_seed(0)
    raters = {name: ("table",) for name in load_bundle().targets_of(DISCS)}
    network = {
        LOCATOR: lambda: Locator(LocatorModelConfig().width),
        SEGMENTER: lambda: Segmenter(SegmenterModelConfig().width, SegmenterModelConfig().inner),
        GRADER: lambda: build_grader(GraderModelConfig()),
        DISCS: lambda: build_network(DiscModelConfig(), TrainDiscsConfig().crop, raters),
    }[part]()
    taken = start_from(network, PACKAGED, part)
    assert not taken.resized
    assert all(name.startswith(("segment.", "heads.pfirrmann.cuts.")) for name in (*taken.left, *taken.unused))
