"""Who is graded worse: figures by level, side and whatever is known of the studies, and the gaps between groups.

``cases.csv`` has a column ``study`` and any others: vendor, field strength, age, sex, signal-to-noise. Numbers with
more than six different values are cut into thirds of the studies; everything else is taken as it is written.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spinenet.errors import PredictionsError
from spinenet.evaluate.estimates import MAIN, Figure, difference, main_figure, mean_of
from spinenet.evaluate.intervals import (
    UNDEFINED,
    Estimate,
    Floats,
    Resamples,
    bca,
    max_t,
    patients_of,
    plain,
    side_by_side,
)
from spinenet.evaluate.samples import PRESENCE, SIDES, Cohort, Sample, read_table
from spinenet.labels import LEVELS, TARGET

FEW_PATIENTS = 30
UNKNOWN_GROUP = "unknown"
_AS_NUMBERS = 6
_MOST_GROUPS = 12


@dataclass(frozen=True)
class Subgroup:
    """One target in one group of discs: its main figure, the share decided wrongly, and how far it is from the rest.

    ``gap`` is the main figure minus that of ``reference``, the largest group of the same variable (nan for itself);
    ``p_corrected`` knows how many gaps were looked at (``intervals.max_t``).
    """

    variable: str
    group: str
    target: str
    n: int
    patients: int
    positives: int
    metric: str
    estimate: Estimate
    wrong: Estimate
    reference: str
    gap: Estimate
    gap_C: Floats
    p_corrected: float = float("nan")

    @property
    def few(self) -> bool:
        """Whether there are too few patients to trust even the interval."""
        return self.patients < FEW_PATIENTS

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON and tables."""
        return {**plain(self), "few": self.few}


def load_cases(path: Path) -> pd.DataFrame:
    """One row a study, groups as text; PredictionsError where a study occurs twice or a column is no grouping."""
    table = read_table(path)
    if "study" not in table.columns or len(table.columns) < 2:
        raise PredictionsError(f"{path}: needs a column study and at least one more, such as age or vendor")
    if table["study"].duplicated().any():
        twice = table.loc[table["study"].duplicated(), "study"].iloc[0]
        raise PredictionsError(f"{path}: study {twice} has two rows; give one row a study")
    groups = {name: grouped(table[name], f"{path}: column {name}") for name in table.columns if name != "study"}
    return pd.DataFrame({"study": table["study"], **groups})


def grouped(values: pd.Series, name: str) -> pd.Series:
    """The group of each study as text; empty cells are ``unknown``.

    >>> grouped(pd.Series(["30", "40", "50", "60", "70", "80", "90", ""]), "age").tolist()[:3]
    ['up to 50', 'up to 50', 'up to 50']
    """
    text = values.str.strip()
    numbers = pd.to_numeric(text, errors="coerce")
    known = text != ""
    if known.any() and numbers[known].notna().all() and numbers.nunique() > _AS_NUMBERS:
        low, high = (float(f"{edge:.3g}") for edge in numbers.quantile([1 / 3, 2 / 3]))
        text = pd.Series(f"{low:g} to {high:g}", values.index)
        text = text.mask(numbers <= low, f"up to {low:g}").mask(numbers > high, f"above {high:g}")
    elif text[known].nunique() > _MOST_GROUPS:
        raise PredictionsError(f"{name} has {text[known].nunique()} different texts; groups are at most {_MOST_GROUPS}")
    return text.where(known, UNKNOWN_GROUP)


def subgroups(cohort: Cohort, cases: pd.DataFrame | None = None) -> list[Subgroup]:
    """Every target in every group of every variable; p-values corrected over all gaps together."""
    asked = [
        (sample, variable, group_N)
        for sample in cohort.graded.values()
        for variable, group_N in _groupings(cohort.frame, sample, cases)
    ]
    rows = sum(side_by_side(lambda one: list(_compare_groups(*one, cohort.resamples)), asked), [])
    if not rows:
        return []
    p_corrected = max_t([row.gap_C for row in rows], cohort.resamples)
    return [replace(row, p_corrected=float(p)) for row, p in zip(rows, p_corrected, strict=True)]


def _groupings(frame: pd.DataFrame, sample: Sample, cases: pd.DataFrame | None) -> Iterator[tuple[str, np.ndarray]]:
    yield "level", np.array(LEVELS)[sample.level_N]
    if sample.target.name in SIDES:
        yield "side", np.array([TARGET[name].side for name in frame["target"].to_numpy()[sample.row_N]], dtype=str)
    if cases is not None:
        study_N = frame["study"].to_numpy(object)[sample.row_N]
        known = cases.set_index("study")
        for name in known.columns:
            yield name, known[name].reindex(study_N).fillna(UNKNOWN_GROUP).to_numpy(object)


def _compare_groups(sample: Sample, variable: str, group_N: np.ndarray, resamples: Resamples) -> Iterator[Subgroup]:
    names, of_N = np.unique(group_N.astype(str), return_inverse=True)
    if len(names) < 2:
        return
    parts = {str(group): sample.where(of_N == index) for index, group in enumerate(names)}
    figures = {group: main_figure(part, resamples) for group, part in parts.items()}
    reference = max(parts, key=lambda group: (len(parts[group]), group))
    for group in _ordered(variable, parts):
        yield _subgroup(parts[group], variable, group, reference, figures, resamples)


def _ordered(variable: str, parts: dict[str, Sample]) -> list[str]:
    """Levels from the sacrum up, thirds from low to high, unknown last."""
    if variable == "level":
        return [level for level in LEVELS if level in parts]
    third = {"up": 0, "above": 2}
    return sorted(parts, key=lambda group: (group == UNKNOWN_GROUP, third.get(group.split(" ")[0], 1), group))


def _subgroup(
    part: Sample, variable: str, group: str, reference: str, figures: dict[str, Figure], resamples: Resamples
) -> Subgroup:
    itself = group == reference
    gap = difference(figures[group], figures[reference])
    target = part.target
    return Subgroup(
        variable=variable,
        group=group,
        target=target.name,
        n=len(part),
        patients=patients_of(part.patient_N),
        positives=int((part.truth_N >= PRESENCE[target.name].first).sum()),
        metric=MAIN[target.scale],
        estimate=figures[group].estimate(resamples),
        wrong=mean_of(part.grade_N != part.truth_N, part.patient_N, resamples, bca).estimate(resamples),
        reference=reference,
        gap=UNDEFINED if itself else gap.estimate(resamples),
        gap_C=np.full(len(gap.values_C), np.nan) if itself else gap.values_C,
    )
