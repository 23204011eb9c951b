"""The data check: counts that add up, and one line for everything that is odd."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from spinenet.datasets import load_dataset
from spinenet.datasets.check import image_findings, label_lines, listed, summary
from spinenet.datasets.labelled import Finding, Kind
from spinenet.labels import UNKNOWN, columns_of
from spinephantom import PhantomStudy
from spinephantom.write.spider_files import write_mha


@pytest.fixture
def root(phantom_root: Path, tmp_path: Path) -> Path:
    """A copy of the phantoms that a test may damage."""
    return Path(shutil.copytree(phantom_root, tmp_path / "data"))


def findings(root: Path, patient: str = "1") -> list[str]:
    study = next(one for one in load_dataset("phantom", root).studies if one.patient == patient)
    return [str(one) for one in image_findings(study)]


def write_mask(root: Path, study: PhantomStudy, mask_SRC: np.ndarray) -> None:
    write_mha(root / "masks" / "1_t2.mha", mask_SRC.astype(np.uint8), study.series[1].series.affine_vox2mm, "PIR")


def test_every_labelled_target_is_counted(phantom_root: Path) -> None:
    dataset = load_dataset("phantom", phantom_root)
    first, *others = label_lines(dataset)
    discs = sum(int((study.grades_LT != UNKNOWN).any(1).sum()) for study in dataset.studies)
    assert "6 patients, 6 studies" in first and f"{discs} graded discs" in first
    assert len(others) == len(columns_of("spider"))
    for line in others:
        assert sum(int(part.split(": ")[1]) for part in line.split(": ", 1)[1].split(", ")) == discs


def test_a_graded_disc_that_the_mask_lacks_is_named(root: Path, phantom: PhantomStudy) -> None:
    mask_SRC = phantom.series[1].mask_SRC
    write_mask(root, phantom, np.where(mask_SRC == 203, 0, mask_SRC))
    assert any("1_t2: graded but not in its mask: L3/L4" in line for line in findings(root))


def test_a_disc_of_the_mask_that_nobody_graded_is_named(root: Path) -> None:
    table = root / "radiological_gradings.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join(line for line in lines if not line.startswith("1,2,")) + "\n")
    assert any("in its mask but not graded: L4/L5" in line for line in findings(root))


def test_a_mask_of_another_shape_is_unusable(root: Path, phantom: PhantomStudy) -> None:
    write_mask(root, phantom, phantom.series[1].mask_SRC[:, 5:])
    assert any(line.startswith("1_t2: mask unusable") for line in findings(root))


def test_a_study_whose_images_are_damaged_is_unusable(root: Path) -> None:
    for path in (root / "images").glob("1_*.mha"):
        path.write_bytes(path.read_bytes()[:300])
    assert len(findings(root)) == 1 and findings(root)[0].startswith("1: unusable: ")


def test_the_summary_counts_by_kind() -> None:
    findings = [
        Finding("3_t1", "graded but not in its mask: L3/L4", Kind.DISCS),
        Finding("2_t2", "coronal, not sagittal", Kind.UNUSED),
        Finding("1", "cut", Kind.UNUSABLE),
    ]
    assert summary(findings) == "3 findings: 1 unusable, 1 discs graded and seen differ, 1 not used"
    assert list(listed(findings))[:2] == ["unusable (1):", "- 1: cut"] and len(list(listed(findings))) == 6
    assert summary([]) == "nothing odd found"
