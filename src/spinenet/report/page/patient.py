"""A page for the patient, in plain words: what was seen, what may be there, and what to ask the doctor.

No grades and no numbers: they would say more than a reader without training can weigh. What stands is told, what is
likely is told as unsure, and what cannot be excluded is left to the doctor.
"""

from pathlib import Path

from spinenet.labels import NEVER_LOOKED_FOR, TARGET, Heading
from spinenet.report.certainty import Certainty, reading_of
from spinenet.report.options import Language
from spinenet.report.page.html import environment
from spinenet.report.text.language import Phrases, phrases, sentence
from spinenet.report.text.narrative import level_names
from spinenet.study import StudyResult
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
    """What was not looked for, first of all the room of the nerves where nothing of it is reported."""
    is_judged = any(TARGET[one.target].heading is Heading.CANAL for one in result.reported if not one.experimental)
    return [*([] if is_judged else ["room"]), *NEVER_LOOKED_FOR]


def told(result: StudyResult, certainty: Certainty, words: Phrases) -> list[tuple[str, str]]:
    """(level, sentences) of the findings of this certainty, from the head down."""
    found: dict[str, list[str]] = {}
    for one in result.reported:
        reading = reading_of(one)
        if reading.is_finding and reading.certainty is certainty and not one.experimental:
            found.setdefault(one.level, []).append(sentence(words.of("patient", one.target)))
    return [(level, " ".join(found[level])) for level in level_names(result) if level in found]
