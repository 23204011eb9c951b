"""A page for the patient, in plain words: what was seen, what may be there, and what to ask the doctor.

No grades and no numbers: they would say more than a reader without training can weigh. What stands is told, what is
likely is told as unsure, and what cannot be excluded is left to the doctor.
"""

from dataclasses import replace
from pathlib import Path

from spinenet.checking.measured_findings import SLIP
from spinenet.labels import NEVER_LOOKED_FOR, TARGET, Heading
from spinenet.report.certainty import Certainty, reading_of
from spinenet.report.deciding_slices import misses_beside_midline
from spinenet.report.narrow_canal import NarrowCanal, UnmeasuredCanal, narrow_canals_of
from spinenet.report.options import Language
from spinenet.report.page.html import environment
from spinenet.report.ranking import Source, ranking_of
from spinenet.report.text.language import Phrases, phrases, sentence
from spinenet.study import Prediction, StudyResult
from spinenet.system.files import write_text


def write_patient_page(result: StudyResult, path: Path, language: Language = Language.EN) -> None:
    """Write the page of a graded study; it is there whole or not at all."""
    write_text(path, patient_page(result, language))


def patient_page(result: StudyResult, language: Language = Language.EN) -> str:
    """The page as text."""
    words = phrases(language)
    plain = {key: words.of("patient", key) for key in words.group("patient")}
    return str(
        environment()
        .get_template("patient.html")
        .render(
            plain=plain,
            seen=told(result, Certainty.STANDS, words),
            maybe=told(result, Certainty.LIKELY, words),
            unseen=[sentence(words.of("patient_never", thing)) for thing in not_seen(result)],
            notice=words("notice"),
            language=language,
            direction=words("direction"),
        )
    )


def not_seen(result: StudyResult) -> list[str]:
    """What was not looked for, first of all the room of the nerves where nothing of it is reported, or elsewhere where
    it was measured to be narrow, then discs beside the midline."""
    unseen = ["beside_midline", *NEVER_LOOKED_FOR] if misses_beside_midline(result) else list(NEVER_LOOKED_FOR)
    if any(TARGET[one.target].heading is Heading.CANAL for one in result.reported if not one.experimental):
        return unseen
    return ["room_elsewhere" if any(one.leading for one in narrow_canals_of(result)) else "room", *unseen]


def told(result: StudyResult, certainty: Certainty, words: Phrases) -> list[tuple[str, str]]:
    """(level, sentences) of the findings of this certainty in the order of the report's impression; what was measured
    and not graded is as unsure as what is likely."""
    found: dict[str, list[str]] = {}
    ranked = ranking_of(replace(result, experimental=False))
    for one in (*ranked.leading, *ranked.slight):
        target, how = _plainly(one.source)
        if how is certainty:
            found.setdefault(one.level, []).append(sentence(words.of("patient", target)))
    return [(level, " ".join(dict.fromkeys(sentences))) for level, sentences in found.items()]


def _plainly(source: Source) -> tuple[str, Certainty]:
    """The target whose plain words tell a finding, and how surely."""
    if isinstance(source, Prediction):
        return source.target, reading_of(source).certainty
    if isinstance(source, UnmeasuredCanal):
        return "canal_unmeasured", Certainty.LIKELY
    return ("canal_stenosis" if isinstance(source, NarrowCanal) else SLIP), Certainty.LIKELY
