"""A result that a reader has looked through."""

from dataclasses import dataclass, field, fields
from typing import Any

from spinenet.locating.discs import NUMBERING
from spinenet.locating.given_names import NAMED, RENAMED
from spinenet.study import Note, StudyResult


@dataclass(frozen=True)
class Review:
    """Who looked a result through, when (ISO 8601), whether it is approved, and comments by level ("" is the study)."""

    reader: str
    at: str
    approved: bool
    comments: dict[str, str] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)
    """What the reader changed as it was saved, so that it can be changed again."""


@dataclass(frozen=True)
class ReviewedResult(StudyResult):
    """A result with its review, and as it was predicted."""

    review: Review | None = None
    predicted: StudyResult | None = None


def reviewed(result: StudyResult, review: Review, predicted: StudyResult) -> ReviewedResult:
    """The result with a review."""
    known = {one.name: getattr(result, one.name) for one in fields(StudyResult)}
    return ReviewedResult(**known, review=review, predicted=predicted)


def review_of(result: StudyResult) -> Review | None:
    """None where no reader has looked it through."""
    return result.review if isinstance(result, ReviewedResult) else None


def as_predicted(result: StudyResult) -> StudyResult:
    """The result without what a reader changed."""
    return result.predicted if isinstance(result, ReviewedResult) and result.predicted else result


def naming_of(result: StudyResult) -> Note | None:
    """What is said of how the levels came by their names; nothing where a reader has approved them."""
    review = review_of(result)
    if review is not None and review.approved:
        return None
    return next((note for note in result.notes if note.code in (NAMED, RENAMED)), NUMBERING)
