"""An archive that is not ours takes every object of a study, files them under it and gives back what they say."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from orthanc_archive import ORTHANC, Archive

from spinenet.report.findings import is_found
from spinenet.report.options import Output, ReportOptions
from spinenet.report.study_files import OBJECT_SUFFIXES, path_of, write_study_files
from spinenet.study import StudyResult

pytestmark = pytest.mark.skipif(ORTHANC is None, reason="no Orthanc: apt-get install orthanc")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    archive = Archive(tmp_path, 11112)
    yield archive
    archive.stop()


def items_of(node: Any, kind: str) -> list[dict[str, Any]]:
    """Content items of a value type anywhere in tags as Orthanc simplifies them."""
    if isinstance(node, list):
        return [one for item in node for one in items_of(item, kind)]
    if not isinstance(node, dict):
        return []
    own = [node] if node.get("ValueType") == kind else []
    return own + [one for value in node.values() for one in items_of(value, kind)]


def test_all_objects_are_filed_under_their_study_and_read_back(
    graded: StudyResult, model: dict[str, Any], tmp_path: Path, archive: Archive
) -> None:
    options = ReportOptions(identify=True, outputs=tuple(Output))
    write_study_files(graded, tmp_path / "out", model=model, options=options)
    stored = {}
    for output, suffix in OBJECT_SUFFIXES.items():
        answer = archive.ask("/instances", path_of(tmp_path / "out", graded.key, suffix).read_bytes())
        assert answer["Status"] == "Success"
        stored[output] = answer["ID"]
    (study,) = archive.ask("/studies")
    assert archive.ask(f"/studies/{study}")["MainDicomTags"]["StudyInstanceUID"] == "1.2.3"
    assert archive.ask(f"/studies/{study}")["PatientMainDicomTags"]["PatientName"] == "Doe^Jane"
    modalities = {archive.ask(f"/series/{one}")["MainDicomTags"]["Modality"] for one in archive.ask("/series")}
    assert modalities == {"SR", "OT", "SEG", "KO", "DOC"}
    tags = {output: archive.ask(f"/instances/{identifier}/simplified-tags") for output, identifier in stored.items()}
    points = [one["GraphicData"].split("\\") for one in items_of(tags[Output.REPORT], "SCOORD3D")]
    centers = [level.center_mm for level in graded.levels]
    assert np.allclose(np.array(points, float), centers)
    found = [
        one["ConceptCodeSequence"][0]["CodeMeaning"]
        for one in items_of(tags[Output.REPORT], "CODE")
        if one["ConceptNameCodeSequence"][0]["CodeValue"] == "121071"
    ]
    assert len(found) == 1 + sum(is_found(one) for one in graded.reported)  # one of them is: research only
    segments = [one["SegmentLabel"] for one in tags[Output.OUTLINES]["SegmentSequence"]]
    assert segments[:5] == [f"{level.name} disc" for level in graded.levels]
    assert tags[Output.OUTLINES]["NumberOfFrames"] == str(len(segments))
    assert len(items_of(tags[Output.KEY_SLICES], "IMAGE")) >= 1
    assert tags[Output.PDF]["MIMETypeOfEncapsulatedDocument"] == "application/pdf"
