"""Read the structured report that ``dicom_sr`` writes, back to the grades it was made from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from spinenet.errors import OutputError
from spinenet.labels import Side
from spinenet.report.certainty import Certainty
from spinenet.report.dicom import codes
from spinenet.report.dicom.structured_report import walk


@dataclass(frozen=True)
class ReportedGrade:
    """One grade as a structured report says it: ``grades`` of which one is right, how surely, and their probability.

    ``found`` where the report calls its condition a finding, not merely what was looked for."""

    level: str
    target: str
    certainty: Certainty
    grades: tuple[int, ...]
    probability: float
    confident: bool
    evidence: str
    grade_set: tuple[int, ...]
    found: bool


@dataclass(frozen=True)
class StructuredReport:
    """What ``read_report`` finds: grades, mm by level, codes of flags, the images that were referred to, and the
    centres of levels in the patient (LPS)."""

    grades: tuple[ReportedGrade, ...]
    measurements: dict[str, dict[str, float]]
    flags: tuple[str, ...]
    referenced: frozenset[str]
    centers_mm: dict[str, tuple[float, float, float]]


def read_report(path: Path) -> StructuredReport:
    """Read what ``dicom_sr.write_report`` wrote; OutputError where the file is no such report."""
    try:
        report = dcmread(path)
        groups = [one for one in walk(report.ContentSequence) if _name(one) == codes.MEASUREMENT_GROUP[0]]
        return _report(groups)
    except (OSError, InvalidDicomError, AttributeError, LookupError) as error:
        raise OutputError(f"{path}: not a structured report of spinenet") from error


def _report(groups: list[Dataset]) -> StructuredReport:
    grades, measurements, flags = [], {}, []
    centers_mm: dict[str, tuple[float, float, float]] = {}
    for group in groups:
        finding = _values(group, codes.FINDING) + _values(group, codes.LOOKED_FOR)
        if codes.RESEARCH[0] in finding:
            flags += _values(group, codes.CAUTION)
        elif finding:
            grades.append(_grade(group, finding[0]))
        else:
            if numbers := _numbers(group):
                measurements[_level(group)] = {codes.MEASUREMENT_OF_CODE[name]: mm for name, mm in numbers.items()}
            centers_mm |= {_level(group): _point(one) for one in group.ContentSequence if _name(one) == codes.REGION[0]}
    images = [one for one in walk(groups) if one.ValueType == "IMAGE"]
    cited = frozenset(str(one.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for one in images)
    return StructuredReport(tuple(grades), measurements, tuple(flags), cited, centers_mm)


def _grade(group: Dataset, finding: str) -> ReportedGrade:
    target = codes.TARGET_OF_CODE[finding, _side(group)]
    certainty = next(one for one, name in codes.GRADES.items() if _values(group, name))
    confident = {code[0]: value for value, code in codes.CONFIDENT.items()}
    evidence = {code[0]: value for value, code in codes.EVIDENCES.items()}
    return ReportedGrade(
        level=_level(group),
        target=target.name,
        certainty=certainty,
        grades=tuple(codes.grade_of_code(target, value) for value in _values(group, codes.GRADES[certainty])),
        probability=_numbers(group)[codes.PROBABILITY[0]],
        confident=confident[_values(group, codes.STANDS_BY)[0]],
        evidence=evidence[_values(group, codes.EVIDENCE)[0]],
        grade_set=tuple(codes.grade_of_code(target, value) for value in _values(group, codes.SET_MEMBER)),
        found=bool(_values(group, codes.FINDING)),
    )


def _point(item: Dataset) -> tuple[float, float, float]:
    x, y, z = map(float, item.GraphicData)
    return x, y, z


def _level(group: Dataset) -> str:
    return codes.LEVEL_OF_CODE[_values(group, codes.FINDING_SITE)[0]]


def _side(group: Dataset) -> Side | None:
    sites = [one for one in group.ContentSequence if _name(one) == codes.FINDING_SITE[0]]
    values = [value for site in sites if "ContentSequence" in site for value in _values(site, codes.LATERALITY)]
    sides = {code[0]: side for side, code in codes.SIDES.items()}
    return sides[values[0]] if values else None


def _values(group: Dataset, name: codes.Code) -> list[str]:
    """The coded values that a group has under a name."""
    return [_code(one.ConceptCodeSequence[0]) for one in group.ContentSequence if _name(one) == name[0]]


def _numbers(group: Dataset) -> dict[str, float]:
    numbers = [one for one in group.ContentSequence if one.ValueType == "NUM"]
    return {_name(one): float(one.MeasuredValueSequence[0].NumericValue) for one in numbers}


def _name(item: Dataset) -> str:
    return _code(item.ConceptNameCodeSequence[0])


def _code(item: Any) -> str:
    return str(item.get("CodeValue") or item.LongCodeValue)
