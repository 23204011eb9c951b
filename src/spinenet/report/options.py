"""What of a study its files show, as the user asked for it."""

from dataclasses import dataclass
from enum import StrEnum


class Language(StrEnum):
    """Languages of the report text; the others are translations of English."""

    EN = "en"
    DE = "de"
    FR = "fr"
    ES = "es"
    AR = "ar"


class Output(StrEnum):
    """What is made for other systems, by the word that asks for it; all but ``fhir`` of studies that came as DICOM."""

    REPORT = "sr"
    OVERVIEW = "overview"
    OUTLINES = "seg"
    KEY_SLICES = "key"
    PDF = "pdf"
    FHIR = "fhir"


USUAL = (Output.REPORT, Output.OVERVIEW)
EVERY = "all"


def outputs_of(text: str) -> tuple[Output, ...]:
    """The outputs that a list of words asks for; ValueError where one of them names none.

    >>> outputs_of("sr, seg"), outputs_of("all") == tuple(Output)
    ((<Output.REPORT: 'sr'>, <Output.OUTLINES: 'seg'>), True)
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if words == [EVERY]:
        return tuple(Output)
    unknown = [word for word in words if word not in tuple(Output)]
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: there are {', '.join(Output)}, or {EVERY}")
    return tuple(map(Output, words))


@dataclass(frozen=True)
class ReportOptions:
    """``identify`` keeps the patient's name and id in page and structured report. ``slices`` puts the slices that were
    read into the page, with a viewer; without them a page is a fraction of the size. ``experimental`` reports
    grades that no patient has verified among the findings (``StudyResult.reported``). ``language`` is that of the
    page, the report text and the page for patients, which ``patient_page`` asks for. ``outputs`` are made for other
    systems beside page and tables."""

    identify: bool = False
    slices: bool = True
    experimental: bool = False
    language: Language = Language.EN
    patient_page: bool = False
    outputs: tuple[Output, ...] = USUAL


DEFAULT = ReportOptions()
