"""A data set is one module and one line: whatever handles data sets takes a made-up one without knowing it."""

from dataclasses import replace
from pathlib import Path

import pytest

from spinenet.crops import CropSpec
from spinenet.datasets import DATASETS, Adapter, Dataset, LabelledStudy, load_dataset
from spinenet.datasets.check import check_study, label_lines
from spinenet.datasets.labelled import Finding
from spinenet.datasets.level_sources import placed_series
from spinenet.datasets.prepare import Job, prepare
from spinenet.datasets.splits import DataConfig, split_studies
from spinenet.errors import DatasetError
from spinenet.labels import LEVELS
from spinenet.readers import StudySource
from spinenet.study import LevelFrame, Study
from spinephantom import PhantomStudy


@pytest.fixture
def made_up(phantoms: tuple[PhantomStudy, ...], phantom_root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The phantoms as a data set of its own, whose levels are points and not masks."""

    class TruePoints:
        def __init__(self, index: int) -> None:
            self.index = index

        def frames(self, source: StudySource, study: Study) -> tuple[tuple[LevelFrame, ...], list[str]]:
            discs = [disc for disc in phantoms[self.index].spine.discs if disc.level in LEVELS[:5]]
            frames = [
                LevelFrame(disc.level, disc.frame.center_mm, disc.frame.axes[:, 1], disc.frame.axes[:, 2], 35.0, 9.0)
                for disc in discs
            ]
            return tuple(sorted(frames, key=lambda frame: LEVELS.index(frame.level))), ["points are simulated"]

    def load(root: Path) -> Dataset:
        studies = load_dataset("phantom", root).studies
        pointed = [replace(one, masks={}, points=TruePoints(index)) for index, one in enumerate(studies)]
        return Dataset("made_up", tuple(pointed), ())

    def check(study: LabelledStudy) -> list[Finding]:
        return [Finding(study.key, "looked at")]

    monkeypatch.setitem(DATASETS, "made_up", Adapter(load, check, licence="none", credit="nobody", synthetic=True))
    return phantom_root


def test_it_is_counted_checked_and_split(made_up: Path) -> None:
    dataset = load_dataset("made_up", made_up)
    assert next(label_lines(dataset)).startswith("made_up: 6 patients")
    assert list(map(str, check_study(DATASETS["made_up"], dataset.studies[0], {}))) == ["1: looked at"]
    split = split_studies(DataConfig(name="made_up", root=str(made_up), validation=0, extra={"phantom": str(made_up)}))
    assert set(split.sources) == {"made_up", "phantom"} and split.test


def test_it_is_prepared_from_its_own_points_and_read_back(made_up: Path, tmp_path: Path) -> None:
    first = load_dataset("made_up", made_up).studies[0]
    (outcome,) = prepare([Job("made_up", first, tmp_path, CropSpec())])
    assert outcome.series == 2 and outcome.problem == "points are simulated"
    (read,) = load_dataset("made_up", tmp_path).studies
    placed, direct = placed_series(read, CropSpec()), placed_series(first, CropSpec())
    assert (
        [frame.level for frame in placed[0].frames] == [frame.level for frame in direct[0].frames] == list(LEVELS[:5])
    )


def test_a_study_that_only_the_locator_can_place_shows_nothing_until_it_is_prepared(made_up: Path) -> None:
    study = replace(load_dataset("made_up", made_up).studies[0], points=None)
    assert placed_series(study, CropSpec()) == ()


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_says_its_licence_and_whom_to_credit(name: str) -> None:
    assert DATASETS[name].licence and DATASETS[name].credit


def test_a_name_that_is_none_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="choose one of spider, phantom"):
        load_dataset("spidr", tmp_path)
