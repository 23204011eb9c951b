"""How RSNA 2024 calls what it grades, and how often it gave each grade: shared by adapter, writer and score."""

from dataclasses import dataclass

from spinenet.labels import STENOSIS_LEVELS, TARGET, View, columns_of

RSNA_LEVELS = STENOSIS_LEVELS[::-1]
"""The graded levels in the data set's order, L1/L2 first."""

GRADE_WORDS = ("Normal/Mild", "Moderate", "Severe")

SERIES_WORDS = {
    "Sagittal T1": View.SAGITTAL_T1,
    "Sagittal T2/STIR": View.SAGITTAL_T2,
    "Axial T2": View.AXIAL_T2,
}
"""Descriptions in train_series_descriptions.csv; T2 and STIR share one."""


@dataclass(frozen=True)
class Condition:
    """One of the five graded conditions: our target, its column in train.csv, the group it is scored in, and the
    description of the series its points are marked in."""

    target: str
    column: str
    group: str
    marked_in: str

    @property
    def words(self) -> str:
        """What train_label_coordinates.csv calls it.

        >>> CONDITIONS[1].words
        'Left Neural Foraminal Narrowing'
        """
        return self.column.replace("_", " ").title()


_MARKED_IN = {
    "canal_stenosis": ("canal", "Sagittal T2/STIR"),
    "foraminal_stenosis": ("foraminal", "Sagittal T1"),
    "subarticular_stenosis": ("subarticular", "Axial T2"),
}
"""Condition of the label space -> group, and the series its points are marked in."""
CONDITIONS = tuple(
    Condition(name, column, *_MARKED_IN[TARGET[name].condition]) for column, name in columns_of("rsna2024").items()
)
CONDITION_OF = {condition.target: condition for condition in CONDITIONS}
GROUPS = tuple(dict.fromkeys(condition.group for condition in CONDITIONS))

PUBLISHED_COUNTS = {
    "canal": (8664, 736, 470),
    "foraminal": (15357, 3564, 779),
    "subarticular": (13733, 3660, 1840),
}
"""Grades of the public training studies, normal or mild, moderate, severe; foramina and recesses of both sides."""


def column_of(condition: Condition, level: str) -> str:
    """Column of train.csv.

    >>> column_of(CONDITIONS[1], "L4/L5")
    'left_neural_foraminal_narrowing_l4_l5'
    """
    return f"{condition.column}_{level.lower().replace('/', '_')}"


def row_id(study: str, condition: Condition, level: str) -> str:
    """Row of the competition's tables.

    >>> row_id("4003253", CONDITIONS[0], "L5/S1")
    '4003253_spinal_canal_stenosis_l5_s1'
    """
    return f"{study}_{column_of(condition, level)}"
