"""Training of the disc network: it learns, unknown labels teach nothing, a run goes on where it stopped, and the file
that predicts is the network that was trained."""

import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from spinenet.crops import DISC_ARRAYS
from spinenet.datasets.splits import DataConfig
from spinenet.labels import LEVELS, TARGET_INDEX, TARGETS, UNKNOWN
from spinenet.model.bundle import DISCS
from spinenet.train.discs.batches import disc_loaders
from spinenet.train.discs.disc_config import DiscFitConfig, DiscLossConfig
from spinenet.train.discs.disc_export import example_discs, export_discs
from spinenet.train.discs.disc_run import build_network, train_discs
from spinenet.train.discs.module import DiscModule, rate_groups
from spinenet.train.discs.objective import grading_sum
from spinenet.train.discs.packed import raters_of
from spinenet.train.loop import fit
from spinenet.train.training_config import CallbacksConfig, LoggerConfig, TrainerConfig
from spinenet.train.weights import start_from, trained_weights

SOURCES = ("spider", "sudirman")


def test_a_few_steps_lower_the_loss(network, config, still_batch):
    module, batch = DiscModule(network, config, SOURCES), still_batch(3)
    optimiser = torch.optim.AdamW(rate_groups(network, replace(config.fit, learning_rate=5e-3)))
    losses = []
    for _ in range(15):
        loss = module.loss(batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_a_step_of_half_precision_comes_near_that_of_single_precision(network, config, still_batch):
    module, batch = DiscModule(network, config, SOURCES), still_batch(2)
    with torch.autocast("cpu", torch.bfloat16):
        half = module.loss(batch)
    half.backward()
    assert half.item() == pytest.approx(module.loss(batch).item(), rel=0.2)


@pytest.mark.parametrize("mixes", [True, False])
def test_unknown_labels_teach_nothing(network, config, still_batch, mixes):
    module = DiscModule(network, replace(config, loss=DiscLossConfig(segmentation=0.0)), SOURCES)
    batch = {**still_batch(2)}
    batch["grades_NT"] = torch.full_like(batch["grades_NT"], UNKNOWN)
    loss = module.loss(batch, mixes=mixes)
    loss.backward()
    assert loss == 0
    assert all(weight.grad is None or not weight.grad.any() for weight in network.parameters())


def test_rare_grades_weigh_more_where_that_is_asked_for(network, config):
    narrowing, grades_NT = TARGET_INDEX["narrowing"], torch.full((10, len(TARGETS)), UNKNOWN)
    grades_NT[:, narrowing] = torch.tensor([1, *[0] * 9])
    lifted = replace(config, loss=DiscLossConfig(rare=0.5))
    plain_TK, weights_TK = (DiscModule(network, one, SOURCES, grades_NT).weights_TK for one in (config, lifted))
    assert weights_TK[narrowing, 1] / weights_TK[narrowing, 0] == pytest.approx(3.0)  # the square root of nine to one
    missed = {"narrowing": torch.tensor([[-3.0], [-3.0]])}  # of one narrowed disc and one that is not
    known = torch.zeros(2, dtype=torch.long)
    plain, more = (
        grading_sum(network, missed, grades_NT[:2], known, SOURCES, config.loss, one_TK)
        for one_TK in (plain_TK, weights_TK)
    )
    assert more / plain == pytest.approx(1.5, rel=0.1)  # three quarters of the mean instead of a half


def test_one_known_label_teaches_its_target_alone(network, config, still_batch):
    module = DiscModule(network, replace(config, loss=DiscLossConfig(segmentation=0.0)), SOURCES)
    batch = {**still_batch(2)}
    known = batch["grades_NT"][0].clone()
    batch["grades_NT"] = torch.full_like(batch["grades_NT"], UNKNOWN)
    batch["grades_NT"][0, TARGET_INDEX["modic"]] = known[TARGET_INDEX["modic"]]
    module.loss(batch).backward()
    taught = {name for name, head in network.each_head() if head.linear.weight.grad.any()}
    assert taught == {"modic"}


class Interrupted(DiscModule):
    """Its run is cut off in the fifth step of six, within the last epoch."""

    def training_step(self, batch, index):
        if self.global_step == 5:
            raise OSError("power cut")
        return super().training_step(batch, index)


def run(packed, config, out, *, kind=DiscModule, resume=False):
    torch.manual_seed(1)
    network = build_network(config.model, config.crop, raters_of(packed, SOURCES))
    loaders = disc_loaders(packed, packed[:1], config, SOURCES)
    return network, fit(kind(network, config, SOURCES), *loaders, replace(config, resume=resume), out)


@pytest.fixture
def short(config):
    """Six steps in three epochs, the encoder frozen from the third step on."""
    return replace(
        config,
        data=DataConfig(fold=-1, shares={"spider": 1.0, "sudirman": 1.0}, extra={"sudirman": ""}),
        fit=DiscFitConfig(steps=6, batch_size=3, freeze_after=0.3),
        callbacks=CallbacksConfig(average=0.9),
        trainer=TrainerConfig(accelerator="cpu"),
        logger=LoggerConfig(tensorboard=False),
    )


def test_a_run_cut_off_within_an_epoch_ends_as_one_that_was_not(packed, short, tmp_path):
    network, whole = run(packed, short, tmp_path / "whole")
    with pytest.raises(OSError, match="power cut"):
        run(packed, short, tmp_path / "cut", kind=Interrupted)
    _, resumed = run(packed, short, tmp_path / "cut", resume=True)
    assert network.encoder.frozen and whole.score == resumed.score
    first, again = (trained_weights(tmp_path / each / "checkpoints" / "last.ckpt") for each in ("whole", "cut"))
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_the_exported_network_answers_as_torch_does(network, config, tmp_path):
    for parameter in network.heads.parameters():  # far from one half, so that a wrong order shows
        torch.nn.init.normal_(parameter, std=0.5)
    path = tmp_path / "discs.onnx"
    assert export_discs(network.eval(), config.crop, path) < 2e-3
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == list(DISC_ARRAYS)
    assert [one.name for one in session.get_outputs()] == list(network.raters)
    for discs in (1, 3, len(LEVELS)):
        inputs = example_discs(discs, config.crop)
        answers = session.run(None, dict(zip(DISC_ARRAYS, (one.numpy() for one in inputs), strict=True)))
        with torch.no_grad():
            wanted = network(*inputs)
        for (name, logp_LK), ours in zip(wanted.items(), answers, strict=True):
            assert np.abs(np.exp(ours) - logp_LK.exp().numpy()).max() < 2e-3, name
    weights = onnx.load(path).graph.initializer
    assert {one.data_type for one in weights if np.prod(one.dims) >= 4000} == {onnx.TensorProto.FLOAT16}


def test_a_run_folder_says_what_it_has_learnt_and_another_can_begin_with_it(phantom_root, config, tmp_path):
    base = replace(
        config,
        data=DataConfig("phantom", str(phantom_root), folds=3, fold=0, validation=0.3),
        fit=DiscFitConfig(steps=0, epochs=1, batch_size=2),
        trainer=TrainerConfig(accelerator="cpu"),
        logger=LoggerConfig(tensorboard=False),
    )
    score = train_discs(replace(base, out=str(tmp_path / "first")), tmp_path / "first")
    assert 0 <= score <= 1
    written = {path.name for path in (tmp_path / "first").iterdir()}
    facts = {"config.yaml", "split.json", "run.json", "learnt.json"}
    assert written >= {*facts, "discs.onnx", "discs.ckpt", "metrics.csv", "checkpoints"}
    learnt = json.loads((tmp_path / "first" / "learnt.json").read_text())
    assert learnt["evidence"]["pfirrmann"] == "synthetic" and learnt["raters"]["pfirrmann"] == ["phantom"]
    assert learnt["views"] == ["sagittal_t1", "sagittal_t2"]
    assert "foraminal_stenosis_left" not in learnt["evidence"]
    best, halved = (trained_weights(tmp_path / "first" / name) for name in ("checkpoints/best.ckpt", "discs.ckpt"))
    assert all(torch.allclose(halved[name].float(), best[name].float(), rtol=2e-3, atol=1e-4) for name in best)
    raters = {name: tuple(several) for name, several in learnt["raters"].items()}
    again = build_network(config.model, config.crop, raters)
    assert not start_from(again, str(tmp_path / "first" / "discs.ckpt"), DISCS).left
