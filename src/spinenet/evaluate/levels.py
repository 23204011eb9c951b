"""Were the discs found, and rightly named? A level's name is what every grade hangs on, so this is counted first.

Shape letters: P patients (studies), O outcomes.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from spinenet.evaluate.intervals import Estimate, draw_patients, resting, share
from spinenet.evaluate.metrics import ratio

OUTCOMES = ("right", "misnamed", "missed", "extra")

Centres = Mapping[str, Mapping[str, ArrayLike]]
"""study -> level -> disc centre in mm, both tables in the same world frame."""


@dataclass(frozen=True)
class LevelErrors:
    """Discs found and named, against ``graded`` true discs of ``studies`` studies.

    ``right``: a centre lies within ``tolerance_mm`` under the disc's name; ``misnamed``: it bears another name;
    ``missed``: no centre lies there. ``extra``: centres that belong to no true disc. ``counts`` of discs; ``fractions``
    of the graded discs, with intervals over patients; ``distance_mm``: ``median`` and ``percentile_95`` from true to
    found centre over the right and misnamed discs, nan without any.
    """

    graded: int
    studies: int
    tolerance_mm: float
    counts: dict[str, int]
    fractions: dict[str, Estimate]
    distance_mm: dict[str, float]


def level_errors(
    found: Centres,
    truth: Centres,
    *,
    graded: Mapping[str, Collection[str]] | None = None,
    patient_of: Callable[[str], str] = str,
    tolerance_mm: float = 5.0,
    samples: int = 1000,
    seed: int = 0,
) -> LevelErrors:
    """Compare located with true disc centres, study by study.

    ``truth`` holds every disc that is really there, else a rightly found disc counts as extra. ``graded`` names the
    discs that the fractions are of (default: all in ``truth``). A study in ``truth`` but not in ``found`` has every
    disc missed; one in ``found`` alone is left out. ``patient_of`` a study (a series)
    says which are drawn together. Raises ValueError where no disc is left to count.
    """
    discs = {study: set(truth[study]) & set((graded or truth).get(study, ())) for study in truth}
    studies = sorted(study for study in truth if discs[study])
    if not studies:
        raise ValueError("no graded disc has a true centre")
    counts_PO, sizes_P, distances = [], [], []
    for study in studies:
        counts, near = _compare(found.get(study, {}), truth[study], discs[study], tolerance_mm)
        counts_PO.append(counts)
        sizes_P.append(len(discs[study]))
        distances += near
    table_PO, discs_P = np.array(counts_PO, float), np.array(sizes_P, float)
    patients, patient_P = np.unique([patient_of(study) for study in studies], return_inverse=True)
    resamples = draw_patients(len(patients), samples, seed)
    discs_C, *counts_C = resamples.totals(patient_P, discs_P, *table_PO.T)[:, 1:].T
    fractions = {
        name: share(resting(ratio(count_C, discs_C), patient_P), resamples, len(patients))
        for name, count_C in zip(OUTCOMES, counts_C, strict=True)
    }
    median, high = np.quantile(distances, [0.5, 0.95]) if distances else (np.nan, np.nan)
    return LevelErrors(
        graded=int(discs_P.sum()),
        studies=len(studies),
        tolerance_mm=tolerance_mm,
        counts={name: int(total) for name, total in zip(OUTCOMES, table_PO.sum(axis=0), strict=True)},
        fractions=fractions,
        distance_mm={"median": float(median), "percentile_95": float(high)},
    )


def _compare(
    found: Mapping[str, ArrayLike], truth: Mapping[str, ArrayLike], graded: set[str], tolerance_mm: float
) -> tuple[list[int], list[float]]:
    """Counts of one study in the order of OUTCOMES, and the distances (mm) of the discs that were found.

    Each centre belongs to its nearest true disc, and each true disc takes the nearest centre that belongs to it.
    """
    taken: dict[str, tuple[float, str]] = {}
    for name, centre in found.items():
        gaps = {disc: float(np.linalg.norm(np.subtract(centre, place))) for disc, place in truth.items()}
        disc = min(gaps, key=gaps.__getitem__, default="")
        if disc and gaps[disc] <= tolerance_mm:
            taken[disc] = min(taken.get(disc, (np.inf, "")), (gaps[disc], name))
    met = {disc: taken[disc] for disc in truth if disc in graded and disc in taken}
    right = sum(name == disc for disc, (_, name) in met.items())
    missed = sum(disc in graded and disc not in taken for disc in truth)
    counts = [right, len(met) - right, missed, len(found) - len(taken)]
    return counts, [gap for gap, _ in met.values()]
