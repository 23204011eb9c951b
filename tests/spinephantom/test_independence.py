"""Nothing but the disease itself may tell of disease: not the scanner, not the planes, not the person's looks."""

from dataclasses import astuple, replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from spinenet.labels import View
from spinephantom import StudyOptions, acceptance, synthesis
from spinephantom.patient.disease import Course, sample_discs
from spinephantom.patient.pathology import DiscState, Mode
from spinephantom.patient.person import sample_person
from spinephantom.physics.sequence import Weighting, sample_protocol, sample_scanner
from spinephantom.scan.scanner_artefacts import sample_acquisition
from spinephantom.spine.anatomy import build_spine
from spinephantom.truth.grades import grade
from spinephantom.truth.morphometry import measure


def test_the_healthy_and_the_ill_are_scanned_alike() -> None:
    """Protocol, imperfections and number of slices of one seed do not change with the disease."""
    options = StudyOptions(size=64, axial_size=64, sub_slices=1)
    person = replace(sample_person(np.random.default_rng(4)), fracture=(-1, 0.0))
    ill = DiscState(height_ratio=0.5, bulge_mm=5.0, flavum_mm_lr=(7.0, 7.0), nucleus_t2_ms=45.0)
    healthy, diseased = (
        synthesis.image(12, options, build_spine(person, (state,) * 10)) for state in (DiscState(), ill)
    )
    for one, other in zip(healthy.series, diseased.series, strict=True):
        assert one.protocol == other.protocol
        assert [s.mask_SRC.shape for s in one.stacks] == [s.mask_SRC.shape for s in other.stacks]
        assert [s.series.spacing_mm[1] for s in one.stacks] == pytest.approx(
            [s.series.spacing_mm[1] for s in other.stacks], rel=0.2
        )


@pytest.mark.slow
def test_no_nuisance_tells_a_grade() -> None:
    """A classifier on protocols, imperfections and the person, age and canal held, finds no stenosis."""
    looks, grades = [], []
    for seed in range(160):
        streams = synthesis._streams(seed)
        person = replace(sample_person(streams[0]), canal_scale=1.0, lipomatosis_mm=0.0, transitional="none")
        states = sample_discs(streams[1], Mode.BALANCED, person, Course(0.0, -1, (), False, 0.0))
        found = grade(measure(build_spine(person, states), 1))
        scanner = sample_scanner(streams[3])
        protocol = sample_protocol(streams[3], scanner, Weighting.T2)
        acquisition = sample_acquisition(streams[3], View.SAGITTAL_T2)
        numbers = [protocol.tr_ms, protocol.te_ms, protocol.bandwidth_hz, protocol.field_t, *protocol.acquired_fraction]
        numbers += [value for value in astuple(acquisition) if isinstance(value, (int, float))]
        numbers += [person.scale, person.subcutaneous_mm, person.marrow_fat, person.muscle_fat, person.slenderness]
        looks.append(numbers)
        grades.append([found["canal_stenosis"] > 0, found["foraminal_stenosis_left"] > 0, found["herniation"] > 0])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, class_weight="balanced", max_iter=500))
    for label in np.array(grades).T:
        score = cross_val_predict(model, np.array(looks), label, cv=8, method="predict_proba")[:, 1]
        cases, others = score[label], score[~label]
        auc = float((cases[:, None] > others[None, :]).mean())
        # what chance alone reaches in 99 of 100 (Hanley and McNeil)
        spread = float(np.sqrt((len(cases) + len(others) + 1) / (12.0 * len(cases) * len(others))))
        assert auc < 0.5 + 2.6 * spread


def test_the_audited_study_says_nothing_elsewhere() -> None:
    """All that honestly tells of disease everywhere is held: canal, constitution and operations."""
    person = acceptance.audited_study(9).spine.person
    assert (person.canal_scale, person.lipomatosis_mm, person.transitional) == (1.0, 0.0, "none")
