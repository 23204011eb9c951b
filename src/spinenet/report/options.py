"""What of a study its files show, as the user asked for it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReportOptions:
    """``identify`` keeps the patient's name and id in page and structured report."""

    identify: bool = False


DEFAULT = ReportOptions()
