"""The acceptance tests of the phantom on few studies; scripts/check_phantom.py runs them on as many as wanted.

Bytes of one seed are compared in test_study, key-points through DICOM in test_dicom, prevalence in test_prevalence.
"""

import numpy as np
import pytest

from spinephantom import acceptance
from spinephantom.patient.pathology import Mode
from spinephantom.spine.records import Spine


@pytest.fixture(scope="module")
def spines() -> list[Spine]:
    return [acceptance.spine_of(seed, mode) for seed, mode in ((1, Mode.SCREENING), (2, Mode.BALANCED))]


def test_grades_are_those_of_the_segmentation(spines: list[Spine]) -> None:
    agree, total = acceptance.regrading(spines)
    assert total >= 12
    assert agree >= total - 1


def test_a_mirrored_spine_has_mirrored_grades(spines: list[Spine]) -> None:
    assert [acceptance.mirror_differences(spine) for spine in spines] == [0, 0]


def test_one_changed_parameter_changes_the_image_at_its_level_only() -> None:
    elsewhere, there = acceptance.change_outside(3, 2, flavum_mm_lr=(8.0, 8.0))
    assert elsewhere < acceptance.LIMITS.elsewhere
    assert there > acceptance.LIMITS.there


def test_tissues_stand_out_as_in_patients() -> None:
    found = [acceptance.contrasts(seed) for seed in range(60)]
    for name, (low, high) in acceptance.CONTRASTS.items():
        assert low <= np.median([one[name] for one in found]) <= high, name


def test_edges_are_as_sharp_as_a_scanner_makes_them() -> None:
    widths = np.median([acceptance.edge_widths_px(seed) for seed in range(60)], axis=0)
    sharp, vague = acceptance.LIMITS.edge_px
    assert (widths >= sharp).all() and (widths <= vague).all()


def test_what_the_audits_look_at_does_not_hold_the_level() -> None:
    """The crop lies at another disc, the background has no spine, and all of it is finite."""
    study = acceptance.audited_study(4)
    features = acceptance.shortcuts(study)
    assert set(features) == {"wrong-level crop", "background", "histogram", "header"}
    assert all(np.isfinite(values).all() and values.ndim == 1 for values in features.values())
    away = study.spine.discs[acceptance.WRONG_LEVEL].frame.center_mm - study.spine.discs[1].frame.center_mm
    assert np.linalg.norm(away) > 80.0
    t2 = study.series[1].stacks[0]
    hidden = acceptance._near_spine(t2, study)
    assert hidden[t2.mask_SRC[1] > 0].mean() > 0.97
