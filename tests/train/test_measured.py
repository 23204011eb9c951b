"""The model on measurements: its arrays say what scikit-learn says, and no network measures a patient it knows."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression

from spinenet.datasets import load_dataset
from spinenet.datasets.fine_masks import soft_masks
from spinenet.datasets.masks import locate_all
from spinenet.datasets.splits import DataConfig, save_split
from spinenet.errors import ConfigError, DatasetError, SpinenetError
from spinenet.labels import LEVELS, TARGET, TARGET_INDEX, TARGETS, UNKNOWN
from spinenet.model.bundle import LOCATOR, MEASURED, load_bundle
from spinenet.model.measured_grader import MeasuredGrader, geometric_mean, normal_scores, read_measured_grader
from spinenet.study import StudyLevels
from spinenet.train.measured import disc_features
from spinenet.train.measured.disc_features import (
    REPORTED,
    DiscFeatures,
    SegmenterRun,
    open_locator,
    open_segmenter_run,
    outline_for,
)
from spinenet.train.measured.forest_and_kernel import (
    GAMMA,
    RIDGE,
    TrainingDiscs,
    fitted_arrays,
    joined_discs,
    kernel_arrays,
    shares_of_types,
)
from spinenet.train.runs import train_measured
from spinenet.train.training_config import ForestConfig, TrainMeasuredConfig

DISCS, FEATURES = 90, 7
FOREST = ForestConfig(trees=9)
Pack = Callable[[dict[str, np.ndarray]], bytes]


@pytest.fixture(scope="module")
def discs() -> TrainingDiscs:
    """Numbers drawn with gaps; Pfirrmann, narrowing and Modic follow the first of them."""
    random = np.random.default_rng(0)
    values_NF = random.normal(0, 1, (DISCS, FEATURES))
    grades_NT = np.full((DISCS, len(TARGETS)), UNKNOWN)
    noisy_N = values_NF[:, 0] + random.normal(0, 0.3, DISCS)
    grades_NT[:, TARGET_INDEX["pfirrmann"]] = np.digitize(noisy_N, (-1.2, -0.4, 0.4, 1.2))
    grades_NT[: DISCS // 2, TARGET_INDEX["narrowing"]] = noisy_N[: DISCS // 2] > 0.5
    grades_NT[:, TARGET_INDEX["modic"]] = np.where(noisy_N > 0.8, 2, 0)
    grades_NT[:, TARGET_INDEX["herniation"]] = 0
    values_NF[random.random(values_NF.shape) < 0.1] = np.nan
    level_N = np.arange(DISCS) % 3
    reported_NR = np.tile(np.arange(DISCS, dtype=float)[:, None], (1, len(REPORTED)))
    return TrainingDiscs(tuple("abcdefg"), level_N, values_NF, reported_NR, grades_NT)


@pytest.fixture(scope="module")
def arrays(discs: TrainingDiscs) -> dict[str, np.ndarray]:
    return fitted_arrays(discs, FOREST, seed=3)


@pytest.fixture(scope="module")
def grader(arrays: dict[str, np.ndarray], packed: Pack) -> MeasuredGrader:
    return read_measured_grader(packed(arrays))


def test_a_target_is_learnt_where_discs_of_two_grades_are_known(grader: MeasuredGrader) -> None:
    assert set(grader.targets) == {"pfirrmann", "narrowing", "modic"}


@pytest.mark.parametrize("target", ["pfirrmann", "narrowing", "modic"])
def test_a_forest_as_arrays_says_what_scikit_learn_says(
    target: str, discs: TrainingDiscs, grader: MeasuredGrader
) -> None:
    filled_NF = grader.filled(discs.values_NF)
    grades_N = discs.grades_NT[:, TARGET_INDEX[target]]
    known_N = grades_N != UNKNOWN
    forest = ExtraTreesClassifier(
        9, min_samples_leaf=3, max_features=0.15, class_weight="balanced_subsample", random_state=3
    ).fit(filled_NF[known_N], grades_N[known_N])
    said = grader.forests[target].probabilities(filled_NF.astype(np.float32))
    np.testing.assert_allclose(said[:, forest.classes_], forest.predict_proba(filled_NF), atol=0.01)
    assert said.shape[1] == len(TARGET[target].grades)


def directly(scores_NF: np.ndarray, above_N: np.ndarray, asked_MF: np.ndarray) -> np.ndarray:
    """The balanced kernel regression solved from its definition, at other places."""

    def like(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        far = ((first[:, None] - second[None]) ** 2).sum(2)
        return np.exp(-GAMMA / first.shape[1] * far)

    weight_N = np.where(above_N > 0, 0.5 / above_N.mean(), 0.5 / (1 - above_N.mean()))
    middle = np.average(above_N, weights=weight_N)
    alpha_N = np.linalg.solve(like(scores_NF, scores_NF) + RIDGE * np.diag(1 / weight_N), above_N - middle)
    return like(asked_MF, scores_NF) @ alpha_N + middle


def test_the_kernel_says_what_its_definition_says(discs: TrainingDiscs, grader: MeasuredGrader) -> None:
    scores_NF = grader.normal_scores(grader.filled(discs.values_NF)).astype(float)
    modic_N = (discs.grades_NT[:, TARGET_INDEX["modic"]] > 0).astype(float)
    slope, offset = grader.kernel.platt_Q2[grader.questions.index(("modic", 0))]
    odds = slope * directly(scores_NF, modic_N, scores_NF[:5]) + offset
    said = grader.kernel_probabilities(grader.filled(discs.values_NF[:5]))["modic"]
    np.testing.assert_allclose(1 - said[:, 0], 1 / (1 + np.exp(-odds)), atol=0.01)


def test_the_kernel_is_calibrated_by_what_it_says_of_discs_left_out() -> None:
    random = np.random.default_rng(1)
    scores_NF = random.normal(0, 1, (30, 4)).astype(np.float16).astype(np.float32)
    above_N = (scores_NF[:, 0] + random.normal(0, 1, 30) > 0).astype(float)
    weight_N = np.where(above_N > 0, 0.5 / above_N.mean(), 0.5 / (1 - above_N.mean()))
    middle = np.average(above_N, weights=weight_N)
    far = ((scores_NF[:, None] - scores_NF[None]) ** 2).sum(2)
    kernel_NN = np.exp(-GAMMA / 4 * far)
    left_out = []
    for index in range(30):
        rest = np.arange(30) != index
        inner = kernel_NN[np.ix_(rest, rest)] + RIDGE * np.diag(1 / weight_N[rest])
        left_out.append(kernel_NN[index, rest] @ np.linalg.solve(inner, above_N[rest] - middle) + middle)
    platt = LogisticRegression(C=100).fit(np.array(left_out)[:, None], above_N > 0.5)
    expected = (platt.coef_[0, 0], platt.intercept_[0])
    np.testing.assert_allclose(kernel_arrays(scores_NF, above_N[:, None])["platt"][0], expected, rtol=1e-3)


def test_a_question_that_all_discs_answer_alike_gets_that_answer() -> None:
    scores_NF = np.random.default_rng(2).normal(0, 1, (6, 3)).astype(np.float32)
    arrays = kernel_arrays(scores_NF, np.zeros((6, 1)))
    assert not arrays["alpha"].any() and arrays["platt"][0, 1] < -5


def test_grades_are_the_geometric_mean_of_forest_and_kernel(discs: TrainingDiscs, grader: MeasuredGrader) -> None:
    filled = grader.filled(discs.values_NF[:4])
    parts = [grader.forests["narrowing"].probabilities(filled.astype(np.float32))]
    parts.append(grader.kernel_probabilities(filled)["narrowing"])
    np.testing.assert_allclose(grader.probabilities(discs.values_NF[:4])["narrowing"], geometric_mean(parts))


def test_kinds_of_change_share_as_they_occur_and_none_is_ruled_out() -> None:
    shares = shares_of_types(TARGET["modic"], np.array([0] * 50 + [2] * 97 + [1] * 3))
    assert shares.sum() == pytest.approx(1) and shares[1] > 0.9 > shares[0] > shares[2] > 0.005


def test_what_is_usual_is_told_by_level_where_there_are_discs_enough(arrays: dict[str, np.ndarray]) -> None:
    middle = arrays["reference_quantiles"][:, 0, list(arrays["reference_shares"]).index(0.5)]
    assert arrays["reference_names"][0] == REPORTED[0]
    assert middle[:3].tolist() == [43.5, 44.5, 45.5] and np.isnan(middle[3:]).all()
    assert arrays["reference_counts"][:4, 0].tolist() == [30, 30, 30, 0]


def test_the_typical_disc_of_a_level_is_its_median(discs: TrainingDiscs, grader: MeasuredGrader) -> None:
    assert grader.typical_LF.shape == (len(LEVELS), FEATURES)
    np.testing.assert_allclose(grader.typical_LF[1, 2], np.nanmedian(discs.values_NF[discs.level_N == 1, 2]), rtol=1e-6)
    np.testing.assert_allclose(grader.typical_LF[9], grader.median_F, rtol=1e-6)


def test_discs_of_studies_with_other_series_have_gaps_where_they_lack_a_feature() -> None:
    def of(names: tuple[str, ...], level: int) -> DiscFeatures:
        values = np.full((1, len(names)), float(level))
        return DiscFeatures(names, np.array([level]), values, np.zeros((1, len(REPORTED))), "sagittal_t2")

    grades_LT = np.full((len(LEVELS), len(TARGETS)), UNKNOWN)
    grades_LT[[0, 1], 0] = 1
    joined = joined_discs([of(("a", "b"), 0), of(("b",), 1), of(("a", "b"), 2)], [grades_LT] * 3)
    np.testing.assert_array_equal(joined.values_NF, [[0, 0], [np.nan, 1]])  # the third has no grade
    nothing = DiscFeatures((), np.zeros(0, np.int64), np.zeros((0, 0)), np.zeros((0, 0)), "")
    with pytest.raises(DatasetError, match="no disc of any study could be measured"):
        joined_discs([nothing], [grades_LT])


def segmenter_run(folder: Path, folds: dict[str, int], fold: int) -> Path:
    folder.mkdir()
    save_split(folder / "split.json", folds, seed=0)
    (folder / "config.yaml").write_text(f"data: {{fold: {fold}}}\n")
    return folder


def test_a_patient_is_measured_by_a_network_that_has_not_learnt_from_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disc_features, "open_segmenter", lambda run: lambda crops: crops)
    folds = {"1": 0, "2": 1, "3": 2}
    run = segmenter_run(tmp_path / "run", folds, 1)
    opened = open_segmenter_run(run)
    assert opened.seen == {"1", "3"}
    everyone = SegmenterRun(lambda crops: crops, frozenset(folds))
    assert outline_for("2", [everyone, opened]) is opened.outline
    assert outline_for("4", [everyone, opened]) is everyone.outline
    assert outline_for("1", [everyone, opened]) is everyone.outline, "both know patient 1: the first"
    (run / "config.yaml").write_text("data: {fold: -1}\n")
    assert open_segmenter_run(run).seen == set(folds)
    (run / "config.yaml").unlink()
    with pytest.raises(ConfigError, match="not a run folder of spinenet train segmenter"):
        open_segmenter_run(run)


def test_levels_are_found_by_the_locator_of_a_run_or_of_a_bundle(tmp_path: Path) -> None:
    package = load_bundle()
    assert open_locator(None).parts == open_locator(package.path).parts == package.parts
    (tmp_path / LOCATOR).write_bytes(b"a run's own")
    own = open_locator(tmp_path)
    assert own.parts[LOCATOR] == b"a run's own" and own.views == package.views
    with pytest.raises(SpinenetError, match="no such file or folder"):
        open_locator(tmp_path / "nowhere")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch, phantom_root: Path) -> SimpleNamespace:
    """Levels and outlines as the label images have them; ``located`` counts who was located."""
    state = SimpleNamespace(located=[], soft=None, dies=None)
    known = {study.key: study for study in load_dataset("phantom", phantom_root).studies}

    def locate(study: Any, bundle: Any) -> StudyLevels:
        if study.key == state.dies:
            raise MemoryError
        state.located.append(study.key)
        masks = known[study.key].masks
        series = locate_all(study.series, masks)
        (t2,) = [one for one in series if one.series.name == "t2"]
        state.soft = soft_masks(t2, masks["t2"].values(t2.series))
        return StudyLevels(study, series)

    monkeypatch.setattr(disc_features, "locate", locate)

    def outline(crops_NHW: np.ndarray) -> np.ndarray:
        """Of the midline slice; beside it nothing is drawn."""
        is_midline = len(crops_NHW) == len(state.soft)
        return state.soft if is_midline else np.zeros((len(crops_NHW), *state.soft.shape[1:]), state.soft.dtype)

    monkeypatch.setattr(disc_features, "open_segmenter", lambda run: outline)
    return state


def test_a_run_that_was_stopped_measures_nobody_twice_and_ends_as_one_that_was_not(
    drawn: SimpleNamespace, phantom_root: Path, tmp_path: Path
) -> None:
    run = segmenter_run(tmp_path / "segmenter", {"1": 0}, 0)

    def train(out: Path, *, resume: bool = False) -> dict[str, np.ndarray]:
        data = DataConfig(name="phantom", root=str(phantom_root), folds=3, fold=0, validation=0.0)
        forest = ForestConfig(trees=3)
        train_measured(
            TrainMeasuredConfig(out=str(out), resume=resume, data=data, segmenters=[str(run)], forest=forest), out
        )
        return dict(np.load(out / MEASURED))

    whole = train(tmp_path / "whole")
    trained = sorted(drawn.located)
    folds = json.loads((tmp_path / "whole" / "split.json").read_text())["folds"]
    assert trained == sorted(patient for patient, fold in folds.items() if fold != 0)
    learnt = json.loads((tmp_path / "whole" / "learnt.json").read_text())
    assert learnt["views"] == ["sagittal_t2"] and set(learnt["evidence"]) == set(whole["forests"].tolist())

    drawn.located.clear()
    drawn.dies = trained[-1]
    with pytest.raises(MemoryError):
        train(tmp_path / "stopped")
    drawn.dies = None
    stopped = train(tmp_path / "stopped", resume=True)
    assert sorted(drawn.located) == trained
    assert all(np.array_equal(whole[name], stopped[name], equal_nan=whole[name].dtype.kind == "f") for name in whole)


def test_normal_scores_are_those_of_places_among_the_training_discs() -> None:
    quantile_MF = np.array([[0.0], [1.0], [1.0], [2.0]])
    scores = normal_scores(np.array([[-5.0], [1.0], [9.0]]), quantile_MF, np.array([-2.0, -1.0, 1.0, 2.0]))
    assert scores[:, 0].tolist() == [-2, 0, 2]
