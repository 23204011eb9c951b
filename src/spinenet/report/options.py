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


@dataclass(frozen=True)
class ReportOptions:
    """``identify`` keeps the patient's name and id in page and structured report. ``slices`` puts the slices that
    were read into the page, with a viewer; without them a page is a fraction of the size. ``experimental`` reports
    grades that no patient has verified among the findings (``StudyResult.reported``). ``language`` is that of the
    report text and of the page for patients, which ``patient_page`` asks for."""

    identify: bool = False
    slices: bool = True
    experimental: bool = False
    language: Language = Language.EN
    patient_page: bool = False


DEFAULT = ReportOptions()
