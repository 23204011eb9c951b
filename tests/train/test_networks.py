"""The networks: empty places change nothing, order does not matter, and probabilities are probabilities."""

import pytest
import torch

from spinenet.crops import BAG_ARRAYS
from spinenet.labels import LEVELS, MAX_GRADES, TARGET, TARGETS, Scale
from spinenet.locate import LOCATOR_CLASSES, SIZE_MULTIPLE
from spinenet.train.networks import NEVER, Head, Locator

MASK = BAG_ARRAYS.index("mask_LS")
ORDINAL = [target for target in TARGETS if target.scale is Scale.ORDINAL]


@torch.no_grad()
def test_empty_slice_places_change_nothing(grader, bag_tensors):
    plain, padded = bag_tensors(), bag_tensors(slices=3)
    expected = grader(*plain)
    for forward in (grader.forward, grader.forward_present):
        assert torch.allclose(forward(*padded), expected, atol=1e-5)
    assert torch.allclose(grader.forward_present(*plain), expected, atol=1e-5)


@torch.no_grad()
def test_what_lies_in_an_empty_place_is_not_looked_at(grader, bag_tensors):
    padded = bag_tensors(slices=2, levels=1)
    expected = grader(*padded)
    absent = ~padded[MASK]
    padded[0][absent] = 100.0
    padded[1][absent] = -3.0
    levels = bag_tensors()[0].shape[1]
    for forward in (grader.forward, grader.forward_present):
        assert torch.allclose(forward(*padded)[:, :levels], expected[:, :levels], atol=1e-5)


@torch.no_grad()
def test_levels_that_are_not_there_change_nothing(grader, bag_tensors):
    plain, padded = bag_tensors(), bag_tensors(levels=2)
    for forward in (grader.forward, grader.forward_present):
        assert torch.allclose(forward(*padded)[:, : plain[0].shape[1]], grader(*plain), atol=1e-5)


@torch.no_grad()
def test_studies_in_one_batch_do_not_see_each_other(grader, bag_tensors):
    first, second = bag_tensors(levels=1, slices=1), bag_tensors(levels=1, slices=1)
    second[0] = second[0].flip(-1)
    together = grader.forward_present(*(torch.cat(pair) for pair in zip(first, second, strict=True)))
    levels = bag_tensors()[0].shape[1]
    assert torch.allclose(together[:1, :levels], grader(*first)[:, :levels], atol=1e-5)
    assert torch.allclose(together[1:, :levels], grader(*second)[:, :levels], atol=1e-5)


@torch.no_grad()
def test_the_order_of_slices_and_levels_does_not_matter(grader, bag_tensors):
    plain = bag_tensors()
    slices_back = [tensor.flip(2) if "LS" in name else tensor for name, tensor in zip(BAG_ARRAYS, plain, strict=True)]
    levels_back = [tensor.flip(1) for tensor in plain]
    assert torch.allclose(grader(*slices_back), grader(*plain), atol=1e-5)
    assert torch.allclose(grader(*levels_back).flip(1), grader(*plain), atol=1e-5)


def test_padding_stays_out_of_the_batch_statistics(grader, bag_tensors):
    def statistics(inputs):
        torch.manual_seed(0)
        before = {name: value.clone() for name, value in grader.state_dict().items()}
        grader.train().forward_present(*inputs)
        means = {name: value.clone() for name, value in grader.state_dict().items() if "running_mean" in name}
        grader.load_state_dict(before)
        return means

    plain, padded = statistics(bag_tensors()), statistics(bag_tensors(levels=2, slices=4))
    assert plain and all(torch.allclose(plain[name], padded[name], atol=1e-6) for name in plain)


@torch.no_grad()
def test_every_target_gets_a_distribution_over_its_own_grades(grader, bag_tensors):
    inputs = bag_tensors()
    logp = grader(*inputs)
    assert logp.shape == (1, inputs[0].shape[1], len(TARGETS), MAX_GRADES)
    for index, target in enumerate(TARGETS):
        grades = len(target.grades)
        assert torch.allclose(logp[:, :, index, :grades].exp().sum(-1), torch.ones(1), atol=1e-4)
        assert (logp[:, :, index, grades:] == NEVER).all()


@pytest.mark.parametrize("target", ORDINAL, ids=lambda target: target.name)
def test_a_higher_score_moves_every_ordinal_cut_the_same_way(target):
    head = Head(target, 1)
    torch.nn.init.ones_(head.linear.weight)
    torch.nn.init.normal_(head.log_gaps, std=1.0)
    scores = torch.linspace(-30, 30, 241)[None, :, None]
    p = head(scores)[0, :, : len(target.grades)].exp()
    assert torch.allclose(p.sum(-1), torch.ones(1), atol=1e-4) and (p >= 0).all()
    above = p.flip(-1).cumsum(-1).flip(-1)[:, 1:]
    assert (above.diff(dim=0) >= -1e-5).all()  # a higher score is never a lower grade
    assert (above.diff(dim=1) <= 1e-6).all()  # above grade k + 1 is above grade k
    assert p[0].argmax() == 0 and p[-1].argmax() == len(target.grades) - 1


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_extreme_features_give_finite_probabilities_and_gradients(target):
    head = Head(target, 1)
    features = torch.tensor([[[-1e3], [0.0], [1e3]]], requires_grad=True)
    logp = head(features)[..., : len(target.grades)]
    logp.sum().backward()
    assert torch.isfinite(logp).all() and torch.isfinite(features.grad).all()


@torch.no_grad()
def test_the_name_of_the_level_and_the_tissue_values_reach_the_grader(grader, bag_tensors):
    plain = bag_tensors()
    expected = grader(*plain)
    for changed in ("level_L", "tissue_LS3", "view_LS", "offset_LS"):
        inputs = list(plain)
        index = BAG_ARRAYS.index(changed)
        inputs[index] = (plain[index] + 1) % len(LEVELS)
        if changed == "view_LS":
            inputs[index] = 1 - plain[index]
        assert not torch.allclose(grader(*inputs), expected, atol=1e-5), changed


@torch.no_grad()
@pytest.mark.parametrize("shape", [(2, 3), (5, 4)])
def test_the_locator_answers_every_pixel(shape):
    rows, columns = (SIZE_MULTIPLE * size for size in shape)
    logits = Locator(2).eval()(torch.rand(2, 1, rows, columns))
    assert logits.shape == (2, len(LOCATOR_CLASSES), rows, columns)


def test_the_grades_of_the_label_space_fit_the_heads(grader):
    assert [head.grades for head in grader.heads] == [len(target.grades) for target in TARGET.values()]
