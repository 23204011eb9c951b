"""The networks: empty places change nothing, order does not matter, and probabilities are probabilities."""

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from spinenet.crops import BAG_ARRAYS
from spinenet.labels import LEVELS, MAX_GRADES, MIRROR, TARGET, TARGET_INDEX, TARGETS, VIEWS, Scale, View
from spinenet.locating.discs import LOCATOR_CLASSES, SIZE_MULTIPLE
from spinenet.train.baselines import GRADERS, PLANES, SAGITTAL_STEP_MM, Volume, build_grader, resnet34_3d
from spinenet.train.grader import GraderModule
from spinenet.train.networks import NEVER, QUESTIONS, Head, Locator
from spinenet.train.training_config import FitConfig, GraderLossConfig, GraderModelConfig

MASK = BAG_ARRAYS.index("mask_LS")
ORDINAL = [target for target in TARGETS if target.scale is Scale.ORDINAL]


@pytest.fixture
def two_sided_bag():
    """Two levels of one study: T1 and T2 slices on each side and in the midline, and an axial slice both ways."""
    torch.manual_seed(3)
    t1, t2, axial = (VIEWS.index(view) for view in (View.SAGITTAL_T1, View.SAGITTAL_T2, View.AXIAL_T2))
    crops = torch.rand(1, 2, 8, 24, 32)
    crops[:, :, 7] = crops[:, :, 6].flip(-1)
    view = torch.tensor([t1, t1, t1, t2, t2, t2, axial, axial]).expand(1, 2, 8)
    offset = torch.tensor([18.0, 0, -17, 16, 1, -18, 2, 2]).expand(1, 2, 8)
    mirrored = torch.tensor([False] * 7 + [True]).expand(1, 2, 8)
    tissue, mask = torch.rand(1, 1, 1, 3).expand(1, 2, 8, 3), torch.ones(1, 2, 8, dtype=torch.bool)
    return [crops, tissue, view, offset, mirrored, mask, torch.tensor([[0, 1]])]


def mirrored_bag(bag):
    """The bag of the mirrored study, cut anew: sagittal slices change sides, the axial picture is flipped."""
    crops, tissue, view, offset, mirrored, mask, level = bag
    axial = view == VIEWS.index(View.AXIAL_T2)
    flipped = torch.where(axial[..., None, None], crops.flip(-1), crops)
    return [flipped, tissue, view, torch.where(axial, offset, -offset), mirrored, mask, level]


@torch.no_grad()
def test_empty_slice_places_change_nothing(grader, bag_tensors):
    plain, padded = bag_tensors(), bag_tensors(slices=3)
    expected, _ = grader(*plain)
    for forward in (grader.forward, grader.forward_present):
        assert torch.allclose(forward(*padded)[0], expected, atol=1e-5)
    assert torch.allclose(grader.forward_present(*plain)[0], expected, atol=1e-5)


@torch.no_grad()
def test_what_lies_in_an_empty_place_is_not_looked_at(grader, bag_tensors):
    padded = bag_tensors(slices=2, levels=1)
    expected, _ = grader(*padded)
    absent = ~padded[MASK]
    padded[0][absent] = 100.0
    padded[1][absent] = -3.0
    levels = bag_tensors()[0].shape[1]
    for forward in (grader.forward, grader.forward_present):
        assert torch.allclose(forward(*padded)[0][:, :levels], expected[:, :levels], atol=1e-5)


@torch.no_grad()
def test_levels_that_are_not_there_change_nothing(grader, bag_tensors):
    plain, padded = bag_tensors(), bag_tensors(levels=2)
    for forward in (grader.forward, grader.forward_present):
        assert torch.allclose(forward(*padded)[0][:, : plain[0].shape[1]], grader(*plain)[0], atol=1e-5)


@torch.no_grad()
def test_studies_in_one_batch_do_not_see_each_other(grader, bag_tensors):
    first, second = bag_tensors(levels=1, slices=1), bag_tensors(levels=1, slices=1)
    second[0] = second[0].flip(-1)
    together, _ = grader.forward_present(*(torch.cat(pair) for pair in zip(first, second, strict=True)))
    levels = bag_tensors()[0].shape[1]
    assert torch.allclose(together[:1, :levels], grader(*first)[0][:, :levels], atol=1e-5)
    assert torch.allclose(together[1:, :levels], grader(*second)[0][:, :levels], atol=1e-5)


@torch.no_grad()
def test_the_order_of_slices_and_levels_does_not_matter(grader, bag_tensors):
    plain = bag_tensors()
    slices_back = [tensor.flip(2) if "LS" in name else tensor for name, tensor in zip(BAG_ARRAYS, plain, strict=True)]
    levels_back = [tensor.flip(1) for tensor in plain]
    assert torch.allclose(grader(*slices_back)[0], grader(*plain)[0], atol=1e-5)
    assert torch.allclose(grader(*levels_back)[0].flip(1), grader(*plain)[0], atol=1e-5)


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
    logp, _ = grader(*inputs)
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
    expected, _ = grader(*plain)
    for changed in ("level_L", "tissue_LS3", "view_LS", "offset_LS"):
        inputs = list(plain)
        index = BAG_ARRAYS.index(changed)
        inputs[index] = (plain[index] + 1) % len(LEVELS)
        if changed == "view_LS":
            inputs[index] = 1 - plain[index]
        assert not torch.allclose(grader(*inputs)[0], expected, atol=1e-5), changed


@torch.no_grad()
@pytest.mark.parametrize("shape", [(2, 3), (5, 4)])
def test_the_locator_answers_every_pixel(shape):
    rows, columns = (SIZE_MULTIPLE * size for size in shape)
    logits = Locator(2).eval()(torch.rand(2, 1, rows, columns))
    assert logits.shape == (2, len(LOCATOR_CLASSES), rows, columns)


def test_the_grades_of_the_label_space_fit_the_heads(grader):
    assert {name: head.grades for name, head in grader.heads.items()} == {
        target.condition: len(target.grades) for target in TARGETS
    }
    assert set(QUESTIONS) == set(grader.heads) == set(grader.pooling.queries) and len(QUESTIONS) == len(TARGET) - 2


@torch.no_grad()
def test_a_mirrored_study_gets_mirrored_grades(grader, two_sided_bag):
    for parameter in (*grader.heads.parameters(), grader.place.linear.weight):  # sides far apart
        torch.nn.init.normal_(parameter, std=2.0)
    plain, mirrored = two_sided_bag, mirrored_bag(two_sided_bag)
    (expected, looked_at), (logp, looked_at_mirrored) = grader(*plain), grader(*mirrored)
    assert torch.allclose(logp, expected[:, :, list(MIRROR)], atol=1e-5)
    same_picture = [0, 1, 2, 3, 4, 5, 7, 6]  # the axial slice as it is is the other one mirrored
    assert torch.allclose(looked_at_mirrored, looked_at[:, :, same_picture][..., list(MIRROR)], atol=1e-6)
    sides = [TARGET_INDEX[f"foraminal_stenosis_{side}"] for side in ("left", "right")]
    assert not torch.allclose(expected[:, :, sides[0]], expected[:, :, sides[1]], atol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["attention", "mean", "resnet18_3d"])
def test_every_target_shares_its_attention_among_the_slices_that_are_there(kind, two_sided_bag):
    network = build_grader(GraderModelConfig(kind, width=8, features=16)).eval()
    two_sided_bag[MASK][:, :, -2:] = False
    _, shares = network(*two_sided_bag)
    assert shares.shape == (*two_sided_bag[MASK].shape, len(TARGETS))
    assert torch.allclose(shares.sum(2), torch.ones(1)) and (shares[:, :, -2:] == 0).all()


@torch.no_grad()
@pytest.mark.parametrize("name", ["grader", "grader_mean", "grader_resnet18_3d"])
def test_every_network_of_the_configuration_can_be_trained(name):
    settings = OmegaConf.load(Path(__file__).parents[2] / "configs/model" / f"{name}.yaml")
    module = GraderModule(
        GraderModelConfig(**settings), FitConfig(), GraderLossConfig(), torch.zeros(4, len(TARGETS), dtype=torch.long)
    )
    assert sum(weight.numel() for weight in module.network.parameters()) > 5e5


@pytest.mark.parametrize("kind", GRADERS)
def test_graders_to_compare_with_answer_alike(kind, two_sided_bag):
    network = build_grader(GraderModelConfig(kind, width=4, features=16)).eval()
    logp, _ = network(*two_sided_bag)
    assert logp.shape == (1, two_sided_bag[0].shape[1], len(TARGETS), MAX_GRADES)
    assert torch.allclose(network.forward_present(*two_sided_bag)[0], logp, atol=1e-5)
    for index, target in enumerate(TARGETS):
        assert torch.allclose(logp[:, :, index, : len(target.grades)].exp().sum(-1), torch.ones(1), atol=1e-4)


def test_spinenets_shape_has_63_million_weights():
    assert sum(weight.numel() for weight in resnet34_3d().parameters()) == pytest.approx(63.5e6, rel=0.01)


@torch.no_grad()
def test_a_volume_holds_each_slice_in_its_plane(two_sided_bag):
    crops, _, view, offset, mirrored, mask, _ = two_sided_bag
    volume = Volume()(crops, view, offset, mirrored, mask).unflatten(0, mask.shape[:2])
    place = int((view[0, 0] == VIEWS.index(View.SAGITTAL_T1)).nonzero()[0])
    plane = int((offset[0, 0, place] / SAGITTAL_STEP_MM).round()) + PLANES // 2
    assert torch.allclose(volume[0, 0, 0, plane], crops[0, 0, place].clamp(-0.5, 1.5) * 2 - 1, atol=1e-5)
    assert (volume[0, 0, 0, [p for p in range(PLANES) if p not in planes_of(view, offset)]] == 0).all()


def planes_of(view, offset):
    t1 = view[0, 0] == VIEWS.index(View.SAGITTAL_T1)
    return set(((offset[0, 0][t1] / SAGITTAL_STEP_MM).round() + PLANES // 2).int().tolist())
