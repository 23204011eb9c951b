"""What a step shows: pictures as prediction crops them, moved by chance, with the labels that they can show."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from spinenet.crops import disc_views
from spinenet.datasets import load_dataset
from spinenet.datasets.level_sources import placed_series
from spinenet.labels import TARGET, TARGET_INDEX, UNKNOWN, View
from spinenet.locating.discs import DISC
from spinenet.train.data import Draw
from spinenet.train.discs.batches import DiscStudies, EvenDraws, collate, drawn_discs
from spinenet.train.discs.disc_config import DiscAugmentConfig
from spinenet.train.discs.moves import STILL, drawn_mix, render
from spinenet.train.discs.packed import MARGIN, NOT_DRAWN, SCALE, can_show, pack_study, raters_of, with_margin

SOURCES = ("spider", "sudirman")
T1, T2, STIR = View.SAGITTAL_T1, View.SAGITTAL_T2, View.SAGITTAL_STIR
KEPT = replace(STILL, drop_t1=0.0, drop_t2=0.0, upper_levels=1.0, levels=99)


def test_what_is_validated_is_what_prediction_sees(packed, config, phantom_root):
    study = load_dataset("phantom", phantom_root).studies[0]
    (seen, *_) = disc_views(placed_series(study, with_margin(config.crop)), config.crop)
    shown = render(collate([DiscStudies(packed, SOURCES, config.augment, config.crop)[0]]), config.crop)
    assert shown.present_NV.tolist() == seen.present_LV.tolist()
    wanted = np.clip(seen.crops_LVHW, -0.25, 1.5)
    assert np.abs(shown.crops_NVHW.numpy() - wanted).max() < 0.51 * SCALE + 1e-5


def test_augmentation_of_no_strength_shows_the_packed_picture(packed, config):
    batch = collate([DiscStudies(packed, SOURCES, KEPT, config.crop)[Draw(0, 7)]])
    shown = render(batch, config.crop)
    inner = batch["pictures_MHW"][:, MARGIN:-MARGIN, MARGIN:-MARGIN].float() * SCALE - 0.25
    assert torch.allclose(shown.crops_NVHW[batch["disc_M"], batch["view_M"]], inner, atol=1e-4)


def test_one_seed_shows_one_picture_and_another_seed_another(packed, config):
    studies = DiscStudies(packed, SOURCES, config.augment, config.crop)

    def crops(seed):
        torch.manual_seed(0)
        return render(collate([studies[Draw(0, seed)]]), config.crop).crops_NVHW

    assert torch.equal(crops(1), crops(1))
    assert crops(1).shape != crops(2).shape or not torch.equal(crops(1), crops(2))


def test_one_of_several_raters_is_drawn_where_that_is_asked_for(packed, config):
    pfirrmann, graded = TARGET_INDEX["pfirrmann"], packed[0].grades_LT != UNKNOWN
    raters_RLT = np.stack([np.where(graded, grade, UNKNOWN) for grade in (0, 1)])
    study = replace(packed[0], raters_RLT=raters_RLT)
    for labels, learnt in (("rater", {0, 1}), ("truth", set(study.grades_LT[graded[:, pfirrmann], pfirrmann]))):
        shown = DiscStudies([study], ("spider",), KEPT, config.crop, labels)
        draws = [shown[Draw(0, seed)]["grades_NT"][:, pfirrmann] for seed in range(12)]
        assert set(np.concatenate(draws)) - {UNKNOWN} == learnt
        assert labels == "truth" or all(len(set(draw) - {UNKNOWN}) == 1 for draw in draws)


def test_a_disc_that_moves_takes_its_drawing_along(packed, config):
    """Of pictures that are white where the second task says disc, black elsewhere."""
    drawn = packed[0].classes_MRC == DISC
    white = replace(packed[0], pictures_MHW=(255 * drawn.repeat(2, 1).repeat(2, 2)).astype(np.uint8))
    moving = replace(KEPT, strength=2.0, gain=0.0, bias=0.0, gamma=0.0, jitter_mm=0.0)
    for augment in (KEPT, moving):
        shown = render(collate([DiscStudies([white], SOURCES, augment, config.crop)[Draw(0, 3)]]), config.crop)
        seen = shown.crops_NVHW[:, 1, 1::4, 1::4] > 0.6
        assert (seen == (shown.classes_NRC == DISC)).float().mean() > 0.985
        assert (shown.classes_NRC == DISC).float().mean() > 0.02


def test_the_middle_of_a_picture_is_drawn_as_disc(packed, config):
    shown = render(collate([DiscStudies(packed, SOURCES, config.augment, config.crop)[0]]), config.crop)
    row = config.crop.rows // 8
    column = round((config.crop.columns / 2 - config.crop.posterior_shift_mm / config.crop.pixel_mm) / 4)
    assert (shown.classes_NRC[:, row, column] == DISC).all()


def test_a_study_without_label_images_is_not_drawn(packed, phantom_root, config):
    study = load_dataset("phantom", phantom_root).studies[0]
    drawn = pack_study(study, "spider", config.crop)
    assert pack_study(replace(study, masks={}), "spider", config.crop) is None
    assert (drawn.classes_MRC != NOT_DRAWN).any() and set(np.unique(drawn.classes_MRC)) <= {0, 1, 2, 3, NOT_DRAWN}


def test_a_view_that_is_left_out_takes_what_it_shows_along(packed, config):
    def grades(**dropped):
        augment = replace(KEPT, **dropped)
        return DiscStudies(packed, SOURCES, augment, config.crop)[Draw(0, 0)]["grades_NT"]

    pfirrmann, modic, bulging = (TARGET_INDEX[name] for name in ("pfirrmann", "modic", "bulging"))
    assert (grades()[:, [pfirrmann, modic, bulging]] != UNKNOWN).all()
    without_t2, without_t1 = grades(drop_t2=1.0), grades(drop_t1=1.0)
    assert (without_t2[:, [pfirrmann, modic]] == UNKNOWN).all() and (without_t2[:, bulging] != UNKNOWN).all()
    assert (without_t1[:, modic] == UNKNOWN).all() and (without_t1[:, pfirrmann] != UNKNOWN).all()


@pytest.mark.parametrize(
    ("target", "views", "shown"),
    [
        ("pfirrmann", {T2}, True),
        ("pfirrmann", {T1, STIR}, False),
        ("modic", {T1}, False),
        ("modic", {T1, STIR}, True),
        ("canal_stenosis", {T2}, True),
        ("foraminal_stenosis_left", {T1, T2}, False),
        ("subarticular_stenosis_left", {T1, T2}, False),
    ],
)
def test_midline_slices_show_what_lies_in_the_midline(target, views, shown):
    assert can_show(TARGET[target], views) is shown


def test_only_what_training_patients_are_labelled_with_is_learnt(packed):
    raters = raters_of(packed, SOURCES)
    assert raters["pfirrmann"] == SOURCES
    blank = [replace(one, grades_LT=np.full_like(one.grades_LT, UNKNOWN)) for one in packed if one.source == "sudirman"]
    known = [one for one in packed if one.source == "spider"]
    assert raters_of([*known, *blank], SOURCES)["pfirrmann"] == ("spider",)
    assert raters_of(blank, SOURCES) == {}


def test_few_of_the_upper_discs_and_never_too_many_are_shown(packed):
    augment = DiscAugmentConfig(upper_levels=0.0, levels=3)
    shown = drawn_discs(packed[0], augment, np.random.default_rng(0))
    assert len(shown) == 3 and set(shown) <= {0, 1, 2, 3}


def test_every_step_holds_each_hospital_in_its_share():
    sources = ["spider"] * 50 + ["sudirman"] * 90
    draws = EvenDraws(sources, {"spider": 5.0, "sudirman": 2.0}, "spider", 0)
    places = [draw.place for draw in draws]
    assert len(places) == 70 and set(places) >= set(range(50))
    steps = [sum(place < 50 for place in places[start : start + 7]) for start in range(0, 70, 7)]
    assert steps == [5] * 10
    draws.set_epoch(1)
    assert [draw.place for draw in draws] != places


def test_mixed_discs_show_the_same_views_and_no_label_is_lost():
    torch.manual_seed(0)
    present_NV = torch.tensor([[1.0, 1], [1, 1], [0, 1], [1, 1], [0, 1], [1, 1]])
    source_N = torch.tensor([0, 0, 0, 0, 0, 1])
    grades_N = torch.tensor([4, 1, UNKNOWN, 2, 3, 0])
    moved = set()
    for _ in range(50):
        mix = drawn_mix(present_NV, source_N)
        assert 0.5 <= mix.share <= 1 and sorted(mix.order_N.tolist()) == list(range(6))
        assert torch.equal(present_NV[mix.order_N], present_NV) and torch.equal(source_N[mix.order_N], source_N)
        assert grades_N[mix.order_N].sum() == grades_N.sum()
        assert torch.allclose(mix.of(torch.ones(6)), torch.ones(6))
        moved |= set(mix.order_N.tolist()) - {5} if not torch.equal(mix.order_N, torch.arange(6)) else set()
    assert moved == {0, 1, 2, 3, 4}
