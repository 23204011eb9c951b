"""Weights belong to the targets they were learnt for, whatever the order of heads in the run that learnt them."""

import functools
import itertools
import json
import logging
import re

import pytest
import torch

from spinenet.crops import CropSpec
from spinenet.errors import ConfigError
from spinenet.labels import TARGET, TARGETS
from spinenet.model.bundle import GRADER
from spinenet.train.baselines import build_grader
from spinenet.train.discs.network import DiscNetwork
from spinenet.train.networks import QUESTIONS, Locator
from spinenet.train.segmenter.unet import Segmenter
from spinenet.train.training_config import GRADER_KINDS, GraderModelConfig
from spinenet.train.weights import load_trained, not_learnt, start_from, trained_weights

KINDS = ("attention", "mean", "resnet18_3d")


def network_of(kind, seed):
    torch.manual_seed(seed)
    return build_grader(GraderModelConfig(kind, width=4, features=16)).eval()


def numbered(network, kind):
    """The state of a network as it was saved when heads were numbered."""
    names = list(network.heads)
    state = {}
    for name, value in network.state_dict().items():
        parts = name.split(".")
        if parts[0] == "heads":
            parts[1] = str(names.index(parts[1]))
        if not name.startswith(("pooling.queries", "pooling.answers")):
            state[".".join(parts)] = value
    if kind == "attention":
        state["pooling.queries"] = torch.stack([network.pooling.queries[name] for name in QUESTIONS])
    if kind == "mean":
        for what in ("weight", "bias"):
            answers = [getattr(network.pooling.answers[name], what) for name in QUESTIONS]
            state[f"pooling.values.{what}"] = torch.cat(answers)
    if kind != "resnet18_3d":
        state["as_it_is_T"] = network.as_it_is_T
    return state


def saved(run, state):
    """A run folder whose last checkpoint holds this state of its network."""
    path = run / "checkpoints" / "last.ckpt"
    path.parent.mkdir(parents=True)
    torch.save({"state_dict": {f"network.{name}": value for name, value in state.items()}}, path)
    return path


def with_bundle(run, targets):
    (run / "bundle").mkdir()
    (run / "bundle" / "model.json").write_text(json.dumps({"label_space": {"targets": dict.fromkeys(targets)}}))


@pytest.mark.parametrize("kind", KINDS)
def test_numbered_heads_are_named_as_the_runs_bundle_names_its_targets(kind, tmp_path):
    trained = network_of(kind, 1)
    path = saved(tmp_path, numbered(trained, kind))
    with_bundle(tmp_path, TARGET)
    weights = trained_weights(path)
    assert set(weights) == set(trained.state_dict())
    assert all(torch.equal(weights[name], value) for name, value in trained.state_dict().items())


def test_heads_follow_the_order_of_their_own_run(tmp_path):
    """A run whose label space had two targets in another order: each head still answers what it learnt."""
    trained = network_of("attention", 1)
    first, second = list(QUESTIONS)[2:4]  # two binary targets, so that sizes do not tell them apart
    state = numbered(trained, "attention")
    for name in [name for name in state if name.startswith("heads.2.")]:
        other = name.replace("heads.2.", "heads.3.")
        state[name], state[other] = state[other], state[name]
    state["pooling.queries"] = state["pooling.queries"][[0, 1, 3, 2, *range(4, len(QUESTIONS))]]
    names = list(TARGET)
    names[2:4] = names[3], names[2]
    path = saved(tmp_path, state)
    with_bundle(tmp_path, names)
    taken = trained_weights(path)
    for question in (first, second):
        assert torch.equal(taken[f"heads.{question}.linear.weight"], trained.heads[question].linear.weight)
        assert torch.equal(taken[f"pooling.queries.{question}"], trained.pooling.queries[question])


def test_numbered_heads_of_which_nothing_is_known_are_refused_in_one_line(tmp_path):
    path = saved(tmp_path, numbered(network_of("attention", 1), "attention"))
    with pytest.raises(ConfigError, match="its heads are numbered, and without .* nothing says which targets") as said:
        trained_weights(path)
    assert "\n" not in str(said.value)
    with_bundle(tmp_path, [*list(TARGET)[:-1], "tarlov_cyst"])
    with pytest.raises(ConfigError, match="not in the label space: tarlov_cyst"):
        trained_weights(path)


def test_a_new_target_starts_untrained_and_all_others_keep_what_they_learnt(tmp_path, caplog):
    trained, fresh = network_of("attention", 1), network_of("attention", 2)
    state = {name: value for name, value in trained.state_dict().items() if "bulging" not in name}
    before = fresh.heads["bulging"].linear.weight.clone()
    taken = start_from(
        fresh, str(saved(tmp_path, {**state, "heads.fracture.linear.weight": torch.zeros(1, 16)})), GRADER
    )
    assert torch.equal(fresh.heads["bulging"].linear.weight, before)
    assert torch.equal(fresh.heads["herniation"].linear.weight, trained.heads["herniation"].linear.weight)
    assert set(taken.left) == {"heads.bulging.linear.weight", "heads.bulging.linear.bias", "pooling.queries.bulging"}
    assert "missing there: pooling.queries.bulging, heads.bulging.linear" in caplog.text
    assert "not in this network: heads.fracture.linear" in caplog.text


def test_a_network_of_another_size_lends_nothing(tmp_path):
    path = saved(tmp_path, build_grader(GraderModelConfig("attention", width=8, features=32)).state_dict())
    with pytest.raises(ConfigError, match="a network of another size"):
        start_from(network_of("attention", 2), str(path), GRADER)


NETWORKS = {
    "a locator": lambda: Locator(4),
    "a segmenter": lambda: Segmenter(2, 4, 4),
    "a disc network": lambda: DiscNetwork("small", CropSpec(rows=32, columns=32), {"pfirrmann": ["spider"]}),
    **{
        f"a grader (model=grader{'' if kind == 'attention' else f'_{kind}'})": functools.partial(
            build_grader, GraderModelConfig(kind, width=8, features=32)
        )
        for kind in GRADER_KINDS
    },
}


@pytest.fixture(scope="module")
def networks():
    """One of each kind, by what it is called."""
    return {name: make() for name, make in NETWORKS.items()}


@pytest.mark.parametrize(("held", "wanted"), itertools.permutations(NETWORKS, 2))
def test_a_checkpoint_of_another_kind_is_called_what_it_is(networks, tmp_path, held, wanted):
    path = saved(tmp_path, networks[held].state_dict())
    said = re.escape(f"{path}: holds {held}, and what is to have its weights is {wanted}")
    with pytest.raises(ConfigError, match=f"^{said}$"):
        load_trained(networks[wanted], path)
    if {held, wanted} != {"a grader (model=grader)", "a grader (model=grader_mean)"}:  # one lends the other its encoder
        with pytest.raises(ConfigError, match=f"^{said}$"):
            start_from(networks[wanted], str(path), GRADER)


def test_weights_of_another_project_are_no_network_of_ours(tmp_path):
    path = saved(tmp_path, {"conv1.weight": torch.zeros(3)})
    with pytest.raises(ConfigError, match="holds no network of spinenet, and what is to have its weights is a grader"):
        start_from(network_of("attention", 1), str(path), GRADER)


def test_what_is_exported_lacks_weights_of_nothing_that_was_learnt(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    trained, fresh = network_of("attention", 1), network_of("attention", 2)
    path = saved(tmp_path, {name: value for name, value in trained.state_dict().items() if "bulging" not in name})
    load_trained(fresh, path, not_learnt([name for name in TARGET if name != "bulging"]))
    assert torch.equal(fresh.encoder.stem[0].weight, trained.encoder.stem[0].weight)
    with pytest.raises(ConfigError, match=r"not the network that the run's config.yaml names .*bulging"):
        load_trained(fresh, path, not_learnt(list(TARGET)))


def test_a_condition_is_learnt_where_one_of_its_sides_is():
    assert not_learnt([name for name in TARGET if name != "foraminal_stenosis_left"]) == {"foraminal_stenosis_left"}
    assert not_learnt([]) == {name for target in TARGETS for name in (target.name, target.condition)}
