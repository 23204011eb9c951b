"""Prevalence by acceptance: each study from its own seed, whoever it is, as frequent as the mode says."""

from dataclasses import replace

import numpy as np
import pytest

from spinenet.labels import TARGET
from spinephantom.patient.disease import sample_course, sample_disc
from spinephantom.patient.pathology import LUMBAR_DISCS, Mode
from spinephantom.patient.person import sample_person
from spinephantom.population import fitting, prevalence
from spinephantom.population.prevalence import AIMS, MOST_PROPOSALS, Weights, graded, sample_spine, shipped_weights


@pytest.mark.parametrize("mode", Mode)
def test_aims_are_shares_of_all_grades_at_all_lumbar_levels(mode: Mode) -> None:
    for condition, table in AIMS[mode].items():
        target = TARGET.get(condition) or TARGET[f"{condition}_left"]
        assert table.shape == (LUMBAR_DISCS, len(target.grades))
        assert np.allclose(table.sum(axis=1), 1.0)


@pytest.mark.parametrize("mode", Mode)
def test_shipped_weights_fit_the_aims(mode: Mode) -> None:
    weights = shipped_weights(mode)
    assert {name: table.shape for name, table in weights.log_weights.items()} == {
        name: table.shape for name, table in AIMS[mode].items()
    }
    # no grade is so unwelcome that it is never taken
    assert all(np.ptp(table, axis=1).max() < 10.0 for table in weights.log_weights.values())


def test_both_sides_of_a_condition_count() -> None:
    grades = {"foraminal_stenosis_left": 2, "foraminal_stenosis_right": 0, "canal_stenosis": 1}
    tables = {name: AIMS[Mode.RSNA][name] for name in ("canal_stenosis", "foraminal_stenosis")}
    assert sorted(index for _, index in graded(tables, grades)) == [0, 1, 2]


def test_one_seed_gives_one_spine_and_the_person_stays_who_he_is() -> None:
    person = sample_person(np.random.default_rng(2))
    first, second = (sample_spine(np.random.default_rng(8), Mode.RSNA, person) for _ in range(2))
    assert [disc.state for disc in first.discs] == [disc.state for disc in second.discs]
    assert first.person == person


def test_what_is_refused_is_drawn_anew_and_what_is_accepted_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []

    def counted(*arguments: object) -> object:
        drawn.append(arguments[-1])  # type: ignore[arg-type]
        return sample_disc(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(prevalence, "sample_disc", counted)
    monkeypatch.setattr(prevalence, "_accepted", lambda rng, weights, spine, level: level != 1)
    sample_spine(np.random.default_rng(1), Mode.RSNA, sample_person(np.random.default_rng(1)))
    assert drawn.count(1) == MOST_PROPOSALS
    assert all(drawn.count(level) == 1 for level in (0, 2, 3, 4, 9))


def test_weights_turn_the_prevalence() -> None:
    """Where only a healthy canal is accepted, hardly any other is left."""
    person = replace(sample_person(np.random.default_rng(5)), canal_scale=0.85)
    table = np.array([[0.0, -9.0, -9.0]] * LUMBAR_DISCS)
    strict = Weights({"canal_stenosis": table}, np.zeros(LUMBAR_DISCS))
    free = Weights({"canal_stenosis": np.zeros_like(table)}, np.zeros(LUMBAR_DISCS))

    def narrow(weights: Weights) -> int:
        spines = [sample_spine(np.random.default_rng(n), Mode.BALANCED, person, weights) for n in range(4)]
        return sum(
            prevalence.grade(prevalence.measure(spine, level))["canal_stenosis"] > 0
            for spine in spines
            for level in range(1, 4)
        )

    assert narrow(free) >= 3 > narrow(strict)


def test_a_course_is_shared_by_all_levels() -> None:
    courses = [sample_course(np.random.default_rng(n), 60.0) for n in range(600)]
    assert 0.01 < np.mean([bool(course.operated) for course in courses]) < 0.06
    assert 0.03 < np.mean([course.isthmic >= 0 for course in courses]) < 0.10
    assert all(course.isthmic in (-1, 0, 1) for course in courses)


def test_weights_move_by_what_the_sampled_spines_lack() -> None:
    pool = [fitting.propose(Mode.RSNA, person, 1) for person in range(fitting.GROUP)]
    names = [name for name in TARGET if "stenosis" in name]
    healthy = [tuple({name: TARGET[name].grades[0] for name in names} for _ in range(LUMBAR_DISCS))] * 10
    before = Weights({name: np.zeros_like(aim) for name, aim in AIMS[Mode.RSNA].items()}, np.zeros(LUMBAR_DISCS))
    after = fitting.correct_weights(Mode.RSNA, before, pool, healthy)
    for table in after.log_weights.values():
        assert (table[:, 0] == 0.0).all()
        assert (table[:, 1] > 0.0).all(), "moderate stenosis lacks everywhere"
    severe = after.log_weights["canal_stenosis"][:, 2]
    assert severe.argmax() == 1, "most severe canals are asked for at L4/L5"
