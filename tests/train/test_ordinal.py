"""Ordinal grades told in three ways, pairs, smoothing and several raters: each learns what it is for."""

import pytest
import torch
from torch.nn import functional

from spinenet.errors import ConfigError
from spinenet.labels import MAX_GRADES, TARGET, TARGET_INDEX, TARGETS, UNKNOWN
from spinenet.train.discs.disc_config import DiscFitConfig, DiscLossConfig
from spinenet.train.discs.network import GradeHead
from spinenet.train.discs.objective import _ordinal_loss
from spinenet.train.losses import grading_loss, pair_loss
from spinenet.train.networks import Head
from spinenet.train.ordinal import log_probabilities, ordinal_loss, outputs_of
from spinenet.train.training_config import CORN, CROSS_ENTROPY, ORDINALS, GraderLossConfig, GraderModelConfig

PFIRRMANN = TARGET["pfirrmann"]
EVEN_TK = torch.ones(len(TARGETS), MAX_GRADES)


def patients(count: int = 16, discs: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (B, L, D) of discs whose Pfirrmann grade (B, L, T) follows from one direction among them."""
    torch.manual_seed(1)
    features = torch.randn(count, discs, 4)
    severity = features @ torch.tensor([1.0, -0.5, 0.3, 0.0])
    grades = torch.full((count, discs, len(TARGETS)), UNKNOWN)
    grades[..., TARGET_INDEX["pfirrmann"]] = torch.bucketize(severity, torch.tensor([-1.0, -0.3, 0.4, 1.1]))
    return features, grades


def answers(head: torch.nn.Module, features: torch.Tensor) -> torch.Tensor:
    """(B, L, T, MAX_GRADES): the head's of Pfirrmann, any of the others."""
    logp = torch.full((*features.shape[:2], len(TARGETS), MAX_GRADES), -1.0)
    logp[:, :, TARGET_INDEX["pfirrmann"]] = head(features)
    return logp


def learn(module: torch.nn.Module, loss, steps: int = 300) -> None:
    optimiser = torch.optim.Adam(module.parameters(), 0.1)
    for _ in range(steps):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()


@pytest.mark.parametrize("ordinal", ORDINALS)
def test_the_grader_learns_ordinal_grades_in_each_way(ordinal):
    features, grades = patients()
    torch.manual_seed(0)
    head = Head(PFIRRMANN, 4, ordinal)
    learn(head, lambda: grading_loss(answers(head, features), grades, EVEN_TK, ordinal=ordinal))
    said = head(features).argmax(-1)
    assert (said == grades[..., TARGET_INDEX["pfirrmann"]]).float().mean() > 0.85


@pytest.mark.parametrize("ordinal", ORDINALS)
def test_the_disc_network_learns_ordinal_grades_in_each_way(ordinal):
    features, grades = patients()
    features, grades = features.flatten(0, 1), grades[..., TARGET_INDEX["pfirrmann"]].flatten()
    torch.manual_seed(0)
    head = GradeHead(PFIRRMANN, 4, ("spider",), ordinal)
    learn(head, lambda: _ordinal_loss(head, head(features), grades, "spider", 0.0).mean())
    logp = head.log_probabilities(head(features), "spider")
    assert (logp.argmax(-1) == grades).float().mean() > 0.85
    scores = head.severity(head(features))
    assert torch.corrcoef(torch.stack([scores.argsort().argsort().float(), grades.float()]))[0, 1] > 0.9


@pytest.mark.parametrize("ordinal", ORDINALS)
def test_the_grades_of_a_scale_add_up(ordinal):
    outputs = torch.randn(3, 7, outputs_of(ordinal, 5))
    logp = log_probabilities(ordinal, outputs, torch.tensor([-2.0, -1.0, 0.5, 2.0]))
    assert logp.shape == (3, 7, 5) and torch.allclose(logp.exp().sum(-1), torch.ones(3, 7), atol=1e-4)


def test_corn_is_the_sum_of_its_conditional_cross_entropies():
    outputs, grades = torch.randn(50, 4), torch.randint(0, 5, (50,))
    conditional = torch.zeros(50)
    for cut in range(4):
        passed = (grades > cut).float()
        asked = (grades >= cut).float()  # only discs that are above the cut below
        conditional += asked * functional.binary_cross_entropy_with_logits(outputs[:, cut], passed, reduction="none")
    assert torch.allclose(ordinal_loss(CORN, log_probabilities(CORN, outputs), grades), conditional, atol=1e-5)


def test_pairs_alone_teach_which_of_a_patients_discs_is_worse():
    features, grades = patients()
    torch.manual_seed(0)
    head = Head(PFIRRMANN, 4)
    learn(head, lambda: pair_loss(answers(head, features), grades), steps=100)
    expected = (head(features).exp() * torch.arange(MAX_GRADES)).sum(-1)
    truth = grades[..., TARGET_INDEX["pfirrmann"]]
    worse = truth[:, :, None] > truth[:, None]
    assert (expected[:, :, None] > expected[:, None])[worse].float().mean() > 0.95


def test_where_no_pair_differs_pairs_cost_nothing():
    features, grades = patients()
    assert pair_loss(answers(Head(PFIRRMANN, 4), features), torch.full_like(grades, UNKNOWN)) == 0


@pytest.mark.parametrize("ordinal", [CORN, CROSS_ENTROPY])
def test_several_raters_teach_the_shares_of_their_grades(ordinal):
    grades = torch.full((3, 1, 1, len(TARGETS)), UNKNOWN)
    grades[:, 0, 0, TARGET_INDEX["pfirrmann"]] = torch.tensor([2, 2, 3])
    head, seen = Head(PFIRRMANN, 1, ordinal), torch.ones(1, 1, 1)
    learn(
        head,
        lambda: torch.stack(
            [grading_loss(answers(head, seen), one, EVEN_TK, ordinal=ordinal) for one in grades]
        ).mean(),
    )
    assert torch.allclose(head(seen)[0, 0, :5].exp(), torch.tensor([0, 0, 2 / 3, 1 / 3, 0]), atol=0.02)


@pytest.mark.parametrize("ordinal", [CORN, CROSS_ENTROPY])
def test_smoothing_keeps_a_network_from_being_sure(ordinal):
    grades = torch.full((1, 1, len(TARGETS)), UNKNOWN)
    grades[..., TARGET_INDEX["pfirrmann"]] = 3
    head, seen = Head(PFIRRMANN, 1, ordinal), torch.ones(1, 1, 1)
    learn(head, lambda: grading_loss(answers(head, seen), grades, EVEN_TK, ordinal=ordinal, smoothing=0.1))
    assert head(seen)[0, 0, 3].exp().item() == pytest.approx(0.9, abs=0.01)


def test_what_is_no_choice_is_refused():
    for wrong in (
        lambda: GraderModelConfig(ordinal="corm"),
        lambda: GraderLossConfig(smoothing=0.7),
        lambda: DiscFitConfig(layer_decay=0.0),
        lambda: DiscLossConfig(targets={"pain": 1.0}),
    ):
        with pytest.raises((ValueError, ConfigError)):
            wrong()
