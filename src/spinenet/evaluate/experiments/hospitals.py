"""How far a figure holds where the model was not made: sites under each other, and how different they are.

A site is a hospital, or a fold of one: its patients were seen by none of the models that graded them. Sites are pooled
with random effects (DerSimonian and Laird 1986) on a scale where intervals are nearly symmetric, log-odds of areas and
Fisher's z of kappas; the interval of the mean is Hartung and Knapp's, because sites are few, and never narrower than
what chance within the sites alone would give.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture
from scipy.special import expit, logit
from scipy.stats import chi2, t

from spinenet.evaluate.estimates import MAIN, main_figure
from spinenet.evaluate.figures import BLUE, GREY, INK, ORANGE, interval_row, panels, save
from spinenet.evaluate.intervals import ENDS, Estimate, Floats, patients_of
from spinenet.evaluate.report import render, write_table
from spinenet.evaluate.samples import PRESENCE, make_cohort, target_named
from spinenet.system.files import write_text

_TO_LINE: dict[str, Callable[[Floats], Floats]] = {"auc": logit, "quadratic_kappa": np.arctanh}
_BACK: dict[str, Callable[[Floats], Floats]] = {"auc": expit, "quadratic_kappa": np.tanh}
_EDGE = 1e-4


@dataclass(frozen=True)
class Site:
    """One target's main figure at one site; ``line`` and its standard ``error`` are on the scale that is pooled."""

    site: str
    hospital: str
    target: str
    n: int
    patients: int
    positives: int
    estimate: Estimate
    line: float
    error: float


@dataclass(frozen=True)
class PooledEstimate:
    """Over sites: the ``mean`` with its interval, where a ``next_site`` is expected (nan below three sites), and how
    much of the spread is not chance: ``i_squared``, ``tau`` on the pooled scale, and ``p`` of "all sites are
    alike"."""

    target: str
    sites: int
    mean: Estimate
    next_site: tuple[float, float]
    i_squared: float
    tau: float
    p: float


def sites_of(tables: Mapping[tuple[str, str], pd.DataFrame], *, samples: int = 1000, seed: int = 0) -> list[Site]:
    """Every target at every site; ``tables`` are (hospital, site) -> predictions with truth. Sites whose figure has
    no interval are left out."""
    found = []
    for (hospital, site), frame in tables.items():
        cohort = make_cohort(frame, samples=samples, seed=seed)
        for name, sample in cohort.graded.items():
            figure, metric = main_figure(sample, cohort.resamples), MAIN[sample.target.scale]
            estimate = figure.estimate(cohort.resamples)
            if np.isfinite(estimate.low):
                on_line = _TO_LINE[metric](np.clip(figure.values_C[: 1 + samples], -1 + _EDGE, 1 - _EDGE))
                positives = int((sample.truth_N >= PRESENCE[name].first).sum())
                size = (len(sample), patients_of(sample.patient_N), positives)
                line = float(on_line[0]), float(np.nanstd(on_line[1:], ddof=1))
                found.append(Site(site, hospital, name, *size, estimate, *line))
    return found


def pool(sites: Sequence[Site]) -> PooledEstimate:
    """Random effects over the sites of one target."""
    y_S, variance_S = np.array([one.line for one in sites]), np.array([one.error for one in sites]) ** 2
    degrees, weight_S = len(sites) - 1, 1 / variance_S
    fixed = np.average(y_S, weights=weight_S)
    q = float(weight_S @ (y_S - fixed) ** 2)
    scale = weight_S.sum() - (weight_S**2).sum() / weight_S.sum()
    tau_squared = max(0.0, (q - degrees) / scale) if degrees else 0.0
    random_S = 1 / (variance_S + tau_squared)
    mean = float(np.average(y_S, weights=random_S))
    spread = max(1.0, float(random_S @ (y_S - mean) ** 2) / degrees) if degrees else np.nan
    error = float(np.sqrt(spread / random_S.sum()))
    back = _BACK[MAIN[target_named(sites[0].target).scale]]
    reach = float(t.ppf(ENDS[1], degrees)) if degrees else np.nan
    ahead = float(t.ppf(ENDS[1], degrees - 1)) * np.sqrt(tau_squared + error**2) if degrees > 1 else np.nan
    low, value, high = back(mean + reach * error * np.array([-1.0, 0.0, 1.0]))
    if not degrees:
        value = float(back(np.array(mean)))
    return PooledEstimate(
        target=sites[0].target,
        sites=len(sites),
        mean=Estimate(float(value), float(low), float(high)),
        next_site=(float(back(np.array(mean - ahead))), float(back(np.array(mean + ahead)))),
        i_squared=max(0.0, (q - degrees) / q) if q > 0 else 0.0,
        tau=float(np.sqrt(tau_squared)),
        p=float(chi2.sf(q, degrees)) if degrees else np.nan,
    )


def by_target(sites: Sequence[Site]) -> dict[str, list[Site]]:
    """Sites of each target, in their order."""
    return {name: [one for one in sites if one.target == name] for name in dict.fromkeys(one.target for one in sites)}


def forest_figure(sites: Sequence[Site], beside: Sequence[Site] = ()) -> Picture:
    """A panel a target: sites, the mean of all in ink, where a next site is expected as a grey line, and in orange what
    stands ``beside``, which no mean holds."""
    grouped, others = by_target(sites), by_target(beside)
    most = max(len(mine) + len(others.get(name, ())) for name, mine in grouped.items())
    size = {"columns": 3, "width": 3.6, "height": 0.9 + 0.28 * (most + 1)}
    with panels(len(grouped), "quadratic kappa, or AUC", "", **size, legend=False) as drawn:  # type: ignore[arg-type]
        drawn[0].subplots_adjust(left=1.55 / drawn[0].get_size_inches()[0], wspace=0.62)
        for axis, (name, mine) in zip(drawn[1], grouped.items(), strict=True):
            _draw_forest(axis, mine, others.get(name, []))
            axis.set_ylim(-most - 0.6, 0.6)
            axis.set_title(target_named(name).title)
    return drawn[0]


def _draw_forest(axis: Axes, mine: Sequence[Site], beside: Sequence[Site]) -> None:
    mean = pool(mine)
    rows = [(f"{one.site} ({one.patients})", one.estimate, BLUE) for one in mine]
    if len(mine) > 2:
        axis.plot(mean.next_site, [-len(mine)] * 2, color=GREY, linewidth=0.9)
    if len(mine) > 1:
        rows.append(("random effects", mean.mean, INK))
    rows += [(f"{one.site} ({one.patients})", one.estimate, ORANGE) for one in beside]
    for place, (_, estimate, colour) in enumerate(rows):
        interval_row(axis, -place, estimate, colour)
    axis.set_yticks([-place for place in range(len(rows))], [words for words, *_ in rows], fontsize=7)
    axis.set_xlim(min(0.5, *(one.estimate.low for one in (*mine, *beside))) - 0.02, 1.01)


def pooled(sites: Sequence[Site]) -> list[PooledEstimate]:
    """The targets of several sites, for ``table("pooled", ...)``."""
    return [pool(mine) for mine in by_target(sites).values() if len(mine) > 1]


def write_hospitals(
    tables: Mapping[tuple[str, str], pd.DataFrame],
    folder: Path,
    *,
    beside: Mapping[tuple[str, str], pd.DataFrame] | None = None,
    samples: int,
    seed: int,
) -> None:
    """``report.md``, ``sites.csv`` and ``forest.png`` of all sites; ``beside`` are sites that no mean holds, such as
    patients that are among the sites already, graded by another model."""
    sites, others = (sites_of(one, samples=samples, seed=seed) for one in (tables, beside or {}))
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {**vars(one), "estimate": one.estimate.value, "low": one.estimate.low, "high": one.estimate.high}
        for one in (*sites, *others)
    ]
    write_table(rows, folder / "sites.csv")
    save(forest_figure(sites, others), folder / "forest")
    text = render("hospitals", sites=sites, beside=others, pooled=pooled(sites), samples=samples, seed=seed)
    write_text(folder / "report.md", text)
