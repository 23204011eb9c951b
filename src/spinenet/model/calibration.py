"""From log probabilities to calibrated probabilities, a decided grade, and whether to stand by it.

Each target has a slope and an intercept of its log-odds (Cox 1958, "Two further applications of a model for binary
regression"; Platt 1999), cuts where the most probable grade is clearly not the best decision, and the least probability
from which a grade is called confident: chosen on validation data, shipped in ``model.json``.
Shape letters: N discs, K grades (padded columns allowed).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinenet.labels import Scale, Target, is_experimental
from spinenet.model import conformal
from spinenet.model.cut_points import Floats, Indices, decided_grades, fit_cuts

MIN_KNOWN = 10
"""With fewer known labels nothing is fitted."""
SLOPE_SD, INTERCEPT_SD = 0.5, 0.5
"""Spread of the log of the slope about 0 and of the intercept about 0 that is expected beforehand: a few dozen discs
of a rare finding move them little."""
MAX_ERROR = 0.1
"""A grade is called confident only where at most this share of such grades is expected to be wrong."""
BOUND = 0.8
"""Level of the one-sided bound on the share of wrong grades (Clopper and Pearson 1934)."""
UNTRIED_SHARE = 0.5
"""What was learnt from synthetic studies alone is stated with at most this share of the network's own log-odds, never
sharpened by its calibration: patients do not look like them, and how surely their images tell a grade is not known.
Chosen by hand; what it costs and may save is in ``notebooks/EXPERIMENTS.md`` (2026-11-27)."""
LEAST_STATED = 0.85
"""No grade is stood by whose own probability is below this, however right such grades are on average: nobody would say
"no bulging" plainly at 29 %. Chosen by looking at the confident grades of SPIDER's cross-validation."""
MIN_CONFIDENT = 50
"""Fewer held-out discs than this do not show that grades are right."""


@dataclass(frozen=True)
class TargetCalibration:
    """How one target's log probabilities become a grade.

    The log-odds of each grade against the one before it (nominal: of each grade against the first) become ``slope``
    times themselves plus ``intercept``. ``cuts`` are those of ``cut_points.decided_grades``, empty for the most
    probable grade. ``confident_from`` is the least probability of a decided grade that is stood by, for grades below
    the target's first finding and for findings; None where none is. ``set_thresholds`` are those of ``conformal``,
    empty where no coverage is stated.

    Older bundles have ``abstain_below`` instead of ``confident_from``: a limit for all grades, chosen so that most were
    stood by.
    """

    slope: float = 1.0
    intercept: float = 0.0
    cuts: tuple[float, ...] = ()
    confident_from: tuple[float | None, float | None] = (None, None)
    set_thresholds: tuple[float, ...] = ()
    abstain_below: float | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.slope) and self.slope > 0):
            raise ValueError(f"slope {self.slope} is not a positive number")
        limits = [limit for limit in (*self.confident_from, self.abstain_below) if limit is not None]
        if not np.isfinite([self.intercept, *self.cuts, *limits, *self.set_thresholds]).all():
            raise ValueError(f"{self}: numbers must be finite")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; ``from_dict`` gives the same calibration back."""
        older = {"abstain_below": self.abstain_below}
        limit = {"confident_from": list(self.confident_from)} if self.abstain_below is None else older
        sets = {"coverage": conformal.COVERAGE, "set_thresholds": list(self.set_thresholds)}
        values = {"slope": self.slope, "intercept": self.intercept, "cuts": list(self.cuts), **limit}
        return values | (sets if self.set_thresholds else {})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TargetCalibration":
        """The calibration of a ``model.json``; raises ValueError if a value is missing or is not a number.

        A ``temperature`` t of an older bundle is a slope of 1 / t.

        >>> older = TargetCalibration.from_dict({"temperature": 2, "cuts": [0.5], "abstain_below": 0})
        >>> older.slope, older.intercept, older.cuts, older.abstain_below
        (0.5, 0.0, (0.5,), 0.0)
        """
        try:
            slope = 1 / float(values["temperature"]) if "temperature" in values else float(values["slope"])
            below, above = values.get("confident_from", (None, None))
            older = values.get("abstain_below")
            if older is None and "confident_from" not in values:
                raise KeyError("confident_from")
            return cls(
                slope=slope,
                intercept=float(values.get("intercept", 0.0)),
                cuts=tuple(float(cut) for cut in values["cuts"]),
                confident_from=(None if below is None else float(below), None if above is None else float(above)),
                set_thresholds=tuple(float(threshold) for threshold in values.get("set_thresholds", ())),
                abstain_below=None if older is None else float(older),
            )
        except (KeyError, TypeError, ZeroDivisionError) as error:
            raise ValueError(f"not a calibration: {dict(values)}") from error


NEUTRAL = TargetCalibration()
"""Nothing learnt: probabilities as they are, the most probable grade, and none that is stood by."""


def fit(target: Target, log_probabilities_NK: Floats, grades_N: Indices) -> TargetCalibration:
    """Slope, intercept, cuts and limits of one target from validation data.

    ``log_probabilities_NK`` are log softmax values (or logits), one row a disc, with at least as many columns as the
    target has grades; ``grades_N`` grade indices, UNKNOWN ignored. With fewer than ``MIN_KNOWN`` known labels or one
    grade only, the neutral calibration. Raises ValueError where the shapes do not fit.
    """
    grades_N = np.asarray(grades_N)
    log_probabilities_NK = np.asarray(log_probabilities_NK, float)
    if log_probabilities_NK.ndim != 2 or len(log_probabilities_NK) != len(grades_N):
        raise ValueError(f"{target.name}: log probabilities {log_probabilities_NK.shape}, grades {grades_N.shape}")
    if log_probabilities_NK.shape[1] < len(target.grades):
        raise ValueError(f"{target.name}: {log_probabilities_NK.shape[1]} columns for {len(target.grades)} grades")
    known_N = grades_N >= 0
    log_probabilities_NK, grades_N = log_probabilities_NK[known_N, : len(target.grades)], grades_N[known_N]
    if len(grades_N) < MIN_KNOWN or len(np.unique(grades_N)) < 2:
        return NEUTRAL
    line = _fit_line(target, log_probabilities_NK, grades_N)
    p_NK = probabilities(target, log_probabilities_NK, line)
    cuts = fit_cuts(target, p_NK, grades_N)
    decided_N = decided_grades(target, p_NK, cuts)
    return replace(
        line,
        cuts=cuts,
        confident_from=_fit_confident(target, p_NK, decided_N, grades_N),
        set_thresholds=tuple(conformal.fit_thresholds(target, p_NK, grades_N)),
    )


def probabilities(target: Target, log_probabilities_NK: Floats, calibration: TargetCalibration) -> Floats:
    """Calibrated probabilities (N, K).

    Padded grades carry a log probability of -1e4 or less and get exactly 0.
    """
    log_probabilities_NK = np.asarray(log_probabilities_NK, float)
    place_K = _places(target, log_probabilities_NK.shape[1])
    scaled_NK = log_probabilities_NK * calibration.slope + calibration.intercept * place_K
    unnormed_NK = np.exp(scaled_NK - scaled_NK.max(axis=1, keepdims=True))
    return unnormed_NK / unnormed_NK.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class Decision:
    """One target's discs decided: index of the grade, whether the model stands by it, the published grades of the
    prediction set (empty where none is stated), and calibrated probabilities."""

    p_NK: Floats
    grade_N: Indices
    confident_N: NDArray[np.bool_]
    sets_N: list[tuple[int, ...]]


def decision(
    target: Target,
    log_probabilities_NK: Floats,
    calibration: TargetCalibration,
    *,
    evidence: str = "real",
    doubted_N: NDArray[np.bool_] | None = None,
    measured_N: NDArray[np.int64] | None = None,
) -> Decision:
    """Calibrate and decide one target's discs, for prediction and evaluation alike; columns beyond its grades are
    left out.

    A grade is confident where its probability reaches the limit of such grades and the prediction set holds no other;
    never where it is experimental by its ``evidence``, where the study, series or level is ``doubted_N``, or where it
    contradicts what was ``measured_N`` (1: the finding is there, -1: it is not). Experimental grades are the most
    probable ones, as cuts were chosen on synthetic studies; they have no set, and their probabilities
    ``UNTRIED_SHARE`` of the log-odds before a calibration sharpened them, which changes no grade.
    """
    p_NK = probabilities(target, np.asarray(log_probabilities_NK, float)[:, : len(target.grades)], calibration)
    grade_N = decided_grades(target, p_NK, () if is_experimental(evidence) else calibration.cuts)
    inside_NK = _in_sets(target, p_NK, grade_N, calibration)
    confident_N = _is_likely(target, p_NK, grade_N, calibration) & (inside_NK.sum(axis=1) <= 1)
    if doubted_N is not None:
        confident_N = confident_N & ~doubted_N
    if measured_N is not None:
        confident_N = confident_N & (measured_N != np.where(grade_N < target.finding_from, 1, -1))
    if is_experimental(evidence):
        confident_N, inside_NK = np.zeros_like(confident_N), np.zeros_like(inside_NK)
        stated_NK = p_NK ** (UNTRIED_SHARE / max(calibration.slope, 1.0))
        p_NK = stated_NK / stated_NK.sum(axis=1, keepdims=True)
    sets_N = [tuple(grade for grade, is_in in zip(target.grades, row, strict=True) if is_in) for row in inside_NK]
    return Decision(p_NK, grade_N, confident_N, sets_N)


def _in_sets(target: Target, p_NK: Floats, grade_N: Indices, calibration: TargetCalibration) -> NDArray[np.bool_]:
    """Which grades each prediction set holds (N, K), with ``conformal.COVERAGE``; none where no coverage is stated."""
    if not calibration.set_thresholds:
        return np.zeros(p_NK.shape, np.bool_)
    return conformal.in_set(target, p_NK, grade_N, calibration.set_thresholds)


def _is_likely(target: Target, p_NK: Floats, grade_N: Indices, calibration: TargetCalibration) -> NDArray[np.bool_]:
    """Whether the probability of the decided grade reaches the limit of such grades (N,)."""
    older = calibration.abstain_below
    limits = calibration.confident_from if older is None else (older, older)
    below, above = (np.inf if limit is None else limit for limit in limits)
    return _at_grade(p_NK, grade_N) >= np.where(grade_N >= target.finding_from, above, below)


def _places(target: Target, columns: int) -> NDArray[np.int64]:
    """How often the intercept counts in each grade's logit: a step a grade, or all grades of a kind against the first.

    One intercept for all steps: a Pfirrmann grade's own was worse on discs held out (``notebooks/EXPERIMENTS.md``).
    """
    return np.minimum(np.arange(columns), 1) if target.scale is Scale.NOMINAL else np.arange(columns)


def _fit_line(target: Target, log_probabilities_NK: Floats, grades_N: Indices) -> TargetCalibration:
    """Slope and intercept with the least penalised negative log likelihood."""
    from scipy.optimize import minimize
    from scipy.special import logsumexp

    place_K = _places(target, log_probabilities_NK.shape[1])

    def loss(line: Floats) -> float:
        scaled_NK = log_probabilities_NK * np.exp(line[0]) + line[1] * place_K
        misfit = np.sum(logsumexp(scaled_NK, axis=1) - _at_grade(scaled_NK, grades_N))
        return float(misfit + ((line / (SLOPE_SD, INTERCEPT_SD)) ** 2).sum() / 2)

    log_slope, intercept = minimize(loss, np.zeros(2), method="L-BFGS-B").x
    return TargetCalibration(float(np.exp(log_slope)), float(intercept))


def _fit_confident(
    target: Target, p_NK: Floats, decided_N: Indices, grades_N: Indices
) -> tuple[float | None, float | None]:
    """The least probability of what is stood by, of grades that are no finding and of findings."""
    stated_N, right_N, finding_N = _at_grade(p_NK, decided_N), decided_N == grades_N, decided_N >= target.finding_from
    below, above = (least_probability(stated_N[mask_N], right_N[mask_N]) for mask_N in (~finding_N, finding_N))
    return _at_least_stated(below), _at_least_stated(above)


def _at_least_stated(limit: float | None) -> float | None:
    return None if limit is None else max(limit, LEAST_STATED)


def least_probability(stated_N: Floats, right_N: NDArray[np.bool_]) -> float | None:
    """The least probability at and above which held-out grades are wrong in at most ``MAX_ERROR``.

    By an upper bound of level ``BOUND`` and of ``MIN_CONFIDENT`` discs or more; None where there is no such
    probability.

    >>> least_probability(np.full(60, 0.9), np.arange(60) >= 2), least_probability(np.full(60, 0.9), np.arange(60) >= 6)
    (0.9, None)
    """
    from scipy.special import betaincinv

    order = np.argsort(-stated_N, kind="stable")
    stated_N, wrong_N = stated_N[order], np.cumsum(~right_N[order])
    discs_N = np.arange(1, len(stated_N) + 1)
    bound_N = betaincinv(wrong_N + 1.0, np.maximum(discs_N - wrong_N, 1e-9), BOUND)
    is_last_N = np.append(stated_N[1:] != stated_N[:-1], True)
    shown_N = np.flatnonzero(is_last_N & (discs_N >= MIN_CONFIDENT) & (bound_N <= MAX_ERROR))
    return float(stated_N[shown_N[-1]]) if len(shown_N) else None


def _at_grade(values_NK: Floats, grades_N: Indices) -> Floats:
    """Each disc's value of its grade (N,)."""
    return np.take_along_axis(values_NK, grades_N[:, None], axis=1)[:, 0]
