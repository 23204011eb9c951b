"""Which studies of two sets of results belong together: those of one person, the earlier one first.

Who was examined and when stands in a study's identity file, where results name patients; else one study on each side is
taken for a pair, and more are paired by key, and it is said that nobody has checked that they are of one person. Where
some name patients and some do not, those that do are paired and the others are left.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spinenet.errors import OutputError
from spinenet.report.document import DOCUMENT_FILE, read_document
from spinenet.report.identification import Identification, read_identification
from spinenet.report.page.html import report_name

REPORTS, DOCUMENT_SUFFIX, IDENTITY_SUFFIX = "reports", ".json", ".identity.json"
NOT_CHECKED = "nothing says that these two are of one person, and which is the earlier one; results with --identify do"


@dataclass(frozen=True)
class DatedStudy:
    """One study of a document, and who was examined and when; None where results do not name patients."""

    study: Mapping[str, Any]
    person: Identification | None
    page: Path | None = None
    """Its page, where there is one."""

    @property
    def key(self) -> str:
        """Its key."""
        return str(self.study["study"])

    @property
    def date(self) -> str:
        """When it was examined (ISO 8601), "" where that is not known."""
        return self.person.date if self.person else ""

    @property
    def dated(self) -> str:
        """Its key, and the date where that is known."""
        return f"{self.key}, {self.date}" if self.date else self.key


@dataclass(frozen=True)
class StudyPair:
    """Two studies to be compared, the earlier one first; ``caution`` is "" where they are known to be of one person."""

    prior: DatedStudy
    current: DatedStudy
    caution: str = ""


def dated_studies(path: Path) -> tuple[Mapping[str, Any], list[DatedStudy]]:
    """The model of a file or output folder, and its studies."""
    file = path / DOCUMENT_FILE if path.is_dir() else path
    content, folder = read_document(file), file.parent / REPORTS if file.name == DOCUMENT_FILE else file.parent
    studies = content["studies"]
    stems = {study["study"]: report_name(study["study"]).removesuffix(".html") for study in studies}
    if file.name != DOCUMENT_FILE and len(studies) == 1:
        stems = {studies[0]["study"]: file.name.removesuffix(DOCUMENT_SUFFIX)}
    people = {key: read_identification(folder / (stem + IDENTITY_SUFFIX)) for key, stem in stems.items()}
    pages = {key: folder / f"{stem}.html" for key, stem in stems.items()}
    return content["model"], [
        DatedStudy(study, people[study["study"]], pages[study["study"]] if pages[study["study"]].is_file() else None)
        for study in studies
    ]


def study_pairs(prior: Sequence[DatedStudy], current: Sequence[DatedStudy]) -> list[StudyPair]:
    """The pairs; OutputError where one study on each side is of two persons."""
    if len(prior) == len(current) == 1:
        return [_ordered(prior[0], current[0])]
    named = [[one for one in side if one.person and one.person.patient_id] for side in (prior, current)]
    by_person = _by_person(*named)
    if by_person or sum(map(len, named)) == len(prior) + len(current):
        return by_person
    later = {one.key: one for one in current}
    shared = [(one, later[one.key]) for one in prior if one.key in later]
    return [_ordered(*pair) for pair in shared if all(one.study["status"] != "failed" for one in pair)]


def _by_person(prior: Sequence[DatedStudy], current: Sequence[DatedStudy]) -> list[StudyPair]:
    """Each study with the latest one of the same person before it, of either side."""
    usable = {one.key: one for one in (*prior, *current) if one.study["status"] != "failed"}
    ordered = sorted(usable.values(), key=lambda one: (one.date, one.key))
    pairs = []
    for index, one in enumerate(ordered):
        before = [other for other in ordered[:index] if _are_one(other, one) and other.date < one.date]
        if before:
            pairs.append(StudyPair(before[-1], one))
    return pairs


def _ordered(first: DatedStudy, second: DatedStudy) -> StudyPair:
    same = _are_one(first, second)
    if same is False:
        raise OutputError(f"{first.key} and {second.key}: of two persons; there is nothing to compare")
    if first.date and second.date and first.date > second.date:
        first, second = second, first
    return StudyPair(first, second, "" if same and first.date and second.date else NOT_CHECKED)


def _are_one(first: DatedStudy, second: DatedStudy) -> bool | None:
    """Whether two studies are of one person; None where that is not known."""
    one, other = first.person, second.person
    if one is None or other is None or not (one.patient_id and other.patient_id):
        return None
    told = [(one.birth_date, other.birth_date), (one.sex, other.sex)]
    return one.patient_id == other.patient_id and all(a == b for a, b in told if a and b)
