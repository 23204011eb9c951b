"""Why a grade is what it is: the measurements that moved it most from what a typical disc of that level would get.

A group of features that rests on one measurement (in every series, and beside the patient's other discs) is put back to
the median of the training discs at that level; how far the grade's log-odds fall is what the measurement contributed.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from spinenet.model.measured_grader import MeasuredGrader
from spinenet.study import Reason

GROUPS: Mapping[str, tuple[str, ...]] = {
    "disc height": ("height_", "area_mm2", "hratio"),
    "disc depth": ("depth_mm",),
    "disc wedge": ("wedge_deg",),
    "signal of the nucleus": ("nucleus", "signal_p", "bright_share", "cleft", "disc_by_marrow", "place_"),
    "signal of the annulus": ("annulus",),
    "disc behind the bodies": ("behind", "beyond"),
    "signal behind the bodies": ("rear_",),
    "disc before the bodies": ("before",),
    "slip": ("slip", "wall_bend", "wall_spread", "plate_depth"),
    "depth of the canal": ("canal",),
    "marrow above": ("marrow_upper", "plate_upper_dark"),
    "marrow below": ("marrow_lower", "plate_lower_dark"),
    "upper end-plate's shape": ("plate_upper_rough", "plate_upper_hollow", "plate_upper_pit", "plate_upper_step"),
    "lower end-plate's shape": ("plate_lower_rough", "plate_lower_hollow", "plate_lower_pit", "plate_lower_step"),
    "height of the vertebra": ("body_",),
    "curve of the spine": ("tilt", "turn", "offset", "plate_angle"),
}
"""Words a radiologist knows, and how the names of their features begin (after the prefix of the series)."""
COUNT = 3
PREFIXES = ("g_", "t1_", "t2_")


def group_columns(names: Sequence[str]) -> dict[str, NDArray[np.intp]]:
    """Columns of each group; every feature belongs to the first group that names it."""
    found: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        bare = name.split("_", 1)[1] if name.startswith(PREFIXES) else name
        group = next((group for group, starts in GROUPS.items() if bare.startswith(starts)), None)
        if group is not None:
            found.setdefault(group, []).append(index)
    return {group: np.array(columns) for group, columns in found.items()}


def reasons(
    grader: MeasuredGrader, values_LF: NDArray[np.float64], level_L: Sequence[int], cuts: Mapping[str, int]
) -> tuple[dict[str, tuple[Reason, ...]], ...]:
    """For every disc, target -> the measurements that moved "above the target's cut" most, the strongest first.

    ``cuts`` names the questions: target -> index of the grade above which the finding counts as present. By the kernel
    alone: it answers all variants of a study in some 15 ms; the forest takes ten times that.
    """
    groups = group_columns(grader.names)
    filled_LF = grader.filled(values_LF)
    typical_LF = grader.typical_LF[list(level_L)]
    variants = np.tile(filled_LF, (len(groups) + 1, 1, 1))
    for row, columns in enumerate(groups.values(), start=1):
        variants[row][:, columns] = typical_LF[:, columns]
    answers = grader.kernel_probabilities(variants.reshape(-1, variants.shape[2]))
    odds = {}
    for target, cut in cuts.items():
        yes = np.clip(answers[target][:, cut + 1 :].sum(1), 1e-6, 1 - 1e-6).reshape(len(variants), -1)
        odds[target] = np.log(yes / (1 - yes))
    return tuple(
        {target: _strongest(tuple(groups), one[0, disc] - one[1:, disc]) for target, one in odds.items()}
        for disc in range(len(filled_LF))
    )


def _strongest(names: Sequence[str], changes: NDArray[np.float64]) -> tuple[Reason, ...]:
    order = np.argsort(-np.abs(changes), kind="stable")[:COUNT]
    return tuple(Reason(names[index], round(float(changes[index]), 3)) for index in order)
