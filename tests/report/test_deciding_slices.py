"""Where a grade was read: what was looked for in the mid-sagittal slices alone is absent there, and nowhere else."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spinenet.labels import TARGET_INDEX, TARGETS
from spinenet.report.deciding_slices import is_of_midline
from spinenet.report.fhir_bundle import fhir_bundle
from spinenet.report.options import Language
from spinenet.report.page.html import render
from spinenet.report.page.patient import not_seen
from spinenet.report.text.language import phrases
from spinenet.report.text.narrative import narrative
from spinenet.study import Prediction, StudyResult

MIDLINE = 2


def read_in(graded: StudyResult, slices: tuple[int, ...]) -> StudyResult:
    """The study with discs that are plainly without herniation, as slices of these places decided."""
    shares = np.zeros(len(TARGETS))
    shares[TARGET_INDEX["herniation"]] = 1 / len(slices)
    crops = {
        level: tuple(replace(one, attention_T=tuple(shares * (one.slice_index in slices))) for one in several)
        for level, several in graded.crops.items()
    }
    absent = tuple(Prediction(level, "herniation", 0, (0.99, 0.01), True, grade_set=(0,)) for level in crops)
    return replace(graded, crops=crops, predictions=absent)


@pytest.fixture
def of_midline(graded: StudyResult) -> StudyResult:
    return read_in(graded, (MIDLINE,))


@pytest.mark.parametrize("slices", [(0,), (MIDLINE, 3)])
def test_a_slice_beside_the_midline_that_counted_makes_a_grade_one_of_the_whole_disc(
    graded: StudyResult, model: dict[str, Any], slices: tuple[int, ...]
) -> None:
    result = read_in(graded, slices)
    assert not any(is_of_midline(result, one) for one in result.predictions)
    text = narrative(result, model)
    assert dict(text.findings)["L4/L5"][0] == "No disc herniation."
    assert phrases(Language.EN)("beside_midline") not in text.not_assessed
    assert "read in the mid-sagittal slices alone" not in render(result, model=model)


@pytest.mark.parametrize("language", Language)
def test_what_is_absent_in_the_midline_is_said_of_the_midline_alone_in_every_language(
    of_midline: StudyResult, model: dict[str, Any], language: Language
) -> None:
    words, text = phrases(language), narrative(of_midline, model, language)
    where = words.isolated(words("none_at_midline", findings="|")).split("|")[0].strip()
    assert dict(text.findings)["L4/L5"][0].lower().startswith(where.lower())
    assert words.isolated(words("beside_midline")) in text.not_assessed


def test_the_table_says_which_columns_were_read_in_the_midline(of_midline: StudyResult, model: dict[str, Any]) -> None:
    page = render(of_midline, model=model)
    assert page.count("read in the mid-sagittal slices alone") == 1
    assert page.index("read in the mid-sagittal slices alone") < page.index("Disc herniation")


def test_other_systems_and_the_patient_are_told_where_it_was_looked(
    of_midline: StudyResult, model: dict[str, Any]
) -> None:
    assert "beside_midline" in not_seen(of_midline)
    observations = [one["resource"] for one in fhir_bundle(of_midline, model)["entry"]]
    notes = [one["note"][0]["text"] for one in observations if one["resourceType"] == "Observation"]
    assert any(note.startswith("L4/L5 disc herniation: absent in the mid-sagittal slices.") for note in notes)


def test_a_readers_absence_is_of_the_whole_disc(of_midline: StudyResult, model: dict[str, Any]) -> None:
    by_reader = replace(
        of_midline, predictions=tuple(replace(one, evidence="reader") for one in of_midline.predictions)
    )
    assert dict(narrative(by_reader, model).findings)["L4/L5"][0] == "No disc herniation."
    assert "beside_midline" not in not_seen(by_reader)
