"""Measured on label images of synthetic patients, against the exact truth of their geometry."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spinenet.datasets import load_dataset
from spinenet.datasets.fine_masks import bodies_alone, soft_masks
from spinenet.datasets.masks import MaskFile, locate_from_mask
from spinenet.datasets.measured_discs import measured_study, write_rows
from spinenet.labels import View
from spinenet.locating.measuring.accuracy import ERRORS_95
from spinenet.locating.measuring.cross_section import CROSS_SECTION
from spinenet.locating.measuring.series import Numbers, measure_series
from spinephantom import PhantomStudy
from spinephantom.truth.morphometry import Measurements, measure

Pairs = list[tuple[Numbers, Measurements]]


@pytest.fixture(scope="module")
def pairs(phantoms: tuple[PhantomStudy, ...]) -> Pairs:
    """What is measured at every lumbar disc of the T2 series, beside the truth."""
    found: Pairs = []
    for study in phantoms:
        item = next(one for one in study.series if one.view is View.SAGITTAL_T2)
        located = locate_from_mask(item.series, item.mask_SRC)
        measured = measure_series(located, soft_masks(located, item.mask_SRC))
        truth = {disc.level: index for index, disc in enumerate(study.spine.discs)}
        found += [(numbers, measure(study.spine, truth[level])) for level, numbers in measured.items()]
    return found


def errors(pairs: list[tuple[float, float]]) -> np.ndarray:
    """Distances to the truth where something was measured."""
    gaps = np.array([one - other for one, other in pairs])
    return gaps[~np.isnan(gaps)]


def test_heights_agree_with_the_thickness_of_the_disc(pairs: Pairs) -> None:
    half = ("height_2_mm", "height_3_mm", "height_4_mm", "height_5_mm")
    plain = [one for one in pairs if one[1].schmorl_above_mm == one[1].schmorl_below_mm == 0]
    gaps = errors([(float(np.mean([m[name] for name in half])), truth.mid_height_mm) for m, truth in plain])
    assert len(gaps) > 20
    assert np.abs(gaps).mean() < 0.5


def test_slips_agree_with_the_shift_of_the_bodies(pairs: Pairs) -> None:
    gaps = errors([(m["slip_middle_mm"], truth.slip_mm) for m, truth in pairs])
    assert len(gaps) > 15
    assert np.abs(gaps).mean() < 0.7


def test_a_narrow_canal_measures_less_than_a_wide_one(pairs: Pairs) -> None:
    known = [(m["canal_min_mm"], truth.canal_ap_mm) for m, truth in pairs if not np.isnan(m["canal_min_mm"])]
    depths, truths = np.array(known).T
    assert np.corrcoef(depths, truths)[0, 1] > 0.5


def test_an_end_plate_with_a_node_is_the_more_hollow(pairs: Pairs) -> None:
    hollow = [(m["plate_upper_hollow_mm"], truth.schmorl_above_mm) for m, truth in pairs]
    nodes, plain = [one for one, deep in hollow if deep > 2], [one for one, deep in hollow if deep == 0]
    assert nodes
    assert np.nanmean(nodes) > np.nanmean(plain) + 1.0


def test_arches_are_no_bodies(phantoms: tuple[PhantomStudy, ...]) -> None:
    item = phantoms[0].series[0]
    labels_RC = item.mask_SRC[locate_from_mask(item.series, item.mask_SRC).midline_slice]
    canal = np.nonzero(labels_RC == 100)
    kept = (bodies_alone(labels_RC) > 0) & (bodies_alone(labels_RC) < 100)
    arch = (labels_RC > 0) & (labels_RC < 100) & ~kept
    assert arch.any()
    assert np.median(np.nonzero(kept)[1]) < np.median(canal[1]) < np.median(np.nonzero(arch)[1])


def test_nothing_is_measured_against_fluid_where_fluid_is_dark(phantoms: tuple[PhantomStudy, ...]) -> None:
    item = phantoms[0].series[0]
    assert item.view is View.SAGITTAL_T1
    located = locate_from_mask(item.series, item.mask_SRC)
    numbers = measure_series(located, soft_masks(located, item.mask_SRC))["L4/L5"]
    assert np.isnan(numbers["nucleus"])
    assert not np.isnan(numbers["height_middle_mm"])
    assert not np.isnan(numbers["marrow_upper_00"])


def test_a_data_set_becomes_a_row_a_disc_and_series_with_errors(phantom_root: Path, tmp_path: Path) -> None:
    study = load_dataset("phantom", phantom_root).studies[0]
    rows = measured_study(study).rows
    assert {row["series"] for row in rows} == {"t1", "t2"}
    assert len({(row["series"], row["level"]) for row in rows}) == len(rows) >= 10
    write_rows(tmp_path / "out" / "discs.csv", rows)
    with (tmp_path / "out" / "discs.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert float(read[0]["height_middle_mm"]) == rows[0]["height_middle_mm"]
    assert {f"{name}_error95" for name in ERRORS_95 if name != CROSS_SECTION} < set(read[0])
    assert (read[0]["nucleus"], read[0]["nucleus_error95"]) == ("", "")  # the first row is of T1


def test_a_label_image_of_bodies_alone_is_not_measured(phantom_root: Path) -> None:
    study = load_dataset("phantom", phantom_root).studies[0]
    drawn = {name: replace(mask, whole=False) for name, mask in study.masks.items() if isinstance(mask, MaskFile)}
    assert "no label image shows a disc" in measured_study(replace(study, masks=dict(drawn))).problem
