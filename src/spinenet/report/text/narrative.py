"""The report of a study as radiologists write it: what was read, findings by level, impression, what was not assessed.

Only grades that stand are said as they are; others are said as likely or possible in the words of the page, and what
cannot be excluded is named as such. Experimental grades have no part in it unless asked for. Nothing is said of what
was not graded.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spinenet import __version__
from spinenet.checking.gates import DOUBTFUL_NAMES
from spinenet.checking.measured_findings import NARROWING, SLIP, contradicted_slips
from spinenet.labels import LEVELS, NEVER_LOOKED_FOR, TARGET, TARGETS, VIEWS, Scale
from spinenet.locating.discs import NUMBERING
from spinenet.locating.given_names import RENAMED
from spinenet.locating.measuring.dural_sac import SAC_AREA
from spinenet.locating.measuring.plausibility import withheld_slips
from spinenet.report.certainty import Certainty, Reading, reading_of
from spinenet.report.deciding_slices import is_of_midline, misses_beside_midline
from spinenet.report.narrow_canal import LIMITS, NarrowCanal, may_be_narrow, narrow_canals_of, unmeasured_canals_of
from spinenet.report.options import Language
from spinenet.report.ranking import RankedFinding, ranking_of
from spinenet.report.reviewed import naming_of, review_of
from spinenet.report.text.language import Phrases, phrases, sentence
from spinenet.report.text.size_phrases import (
    LEAST_SLIP_MM,
    canal_size,
    height_details,
    measured_at,
    measured_finding,
    slip_details,
    slip_written,
    value_at,
)
from spinenet.study import Measurement, Prediction, StudyResult

LEFT_TO_RIGHT, POP = "\N{LEFT-TO-RIGHT ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"


@dataclass(frozen=True)
class Narrative:
    """The text of a study in parts. ``findings`` are (level, sentences) from the head down."""

    title: str
    notice: str
    made_by: str
    technique: tuple[str, ...]
    findings: tuple[tuple[str, tuple[str, ...]], ...]
    impression: tuple[str, ...]
    not_assessed: tuple[str, ...]
    headings: tuple[str, str, str, str]
    mark: str = ""
    """What begins every line where a language runs from the right."""

    def lines(self) -> Iterator[str]:
        """The whole text, line by line."""
        technique, findings, impression, not_assessed = self.headings
        yield from (self.title, self.made_by, self.notice, "", technique, *self.technique, "", findings)
        start, end = (LEFT_TO_RIGHT, POP) if self.mark else ("", "")
        yield from (f"{start}{level}{end}: {' '.join(sentences)}" for level, sentences in self.findings)
        yield from ("", impression, *(f"{number}. {line}" for number, line in enumerate(self.impression, 1)))
        yield from ("", not_assessed, *self.not_assessed)

    def text(self) -> str:
        """The whole text."""
        return "\n".join(f"{self.mark}{line}" if line else "" for line in self.lines()) + "\n"


def narrative(result: StudyResult, model: Mapping[str, Any], language: Language = Language.EN) -> Narrative:
    """The text of a graded study in a language."""
    words, levels = phrases(language), level_names(result)
    name = " ".join(str(model[part]) for part in ("name", "version") if model.get(part))

    def apart(lines: Iterable[str]) -> tuple[str, ...]:
        return tuple(map(words.isolated, lines))

    return Narrative(
        title=words("title"),
        notice=words.isolated(words("notice")),
        made_by=words.isolated(_made_by(result, words, name)),
        technique=apart(_technique(result, model, words)),
        findings=tuple(
            (level, apart((*level_sentences(result, level, words), *_comment(result, level, words))))
            for level in levels
        ),
        impression=apart((*_impression(words, result), *_comment(result, "", words))),
        not_assessed=apart(_not_assessed(result, words)),
        headings=(words("technique"), words("findings"), words("impression"), words("not_assessed")),
        mark="\N{RIGHT-TO-LEFT MARK}" if words("direction") == "rtl" else "",
    )


def _made_by(result: StudyResult, words: Phrases, model: str) -> str:
    """Which model graded, and whether a reader has looked it through."""
    program, review = f"spinenet {__version__}", review_of(result)
    if review is None:
        return words("made_by", model=model, program=program)
    return words("approved" if review.approved else "corrected", model=model, program=program, reader=review.reader)


def _comment(result: StudyResult, level: str, words: Phrases) -> tuple[str, ...]:
    """What a reader wrote of a level, or where that is "" of the study."""
    review = review_of(result)
    text = review.comments.get(level) if review else None
    return (words("comment", comment=text),) if text else ()


def level_names(result: StudyResult) -> list[str]:
    """The levels from the head down, those found but not graded too."""
    found = {level.name for level in result.levels} | set(result.graded_levels)
    return sorted(found, key=LEVELS.index, reverse=True)


def level_sentences(result: StudyResult, level: str, words: Phrases) -> Iterator[str]:
    """The sentences of one level: findings, those that are possible, what is absent, what cannot be excluded, a
    canal that was measured to be narrow, and the area of a sac that is not."""
    read = [(one, reading_of(one)) for one in result.reported if one.level == level]
    found = [pair for pair in read if pair[1].is_finding and pair[1].certainty is Certainty.STANDS]
    likely = [pair for pair in read if pair[1].is_finding and pair[1].certainty is Certainty.LIKELY]
    still = [pair for pair in read if pair[1].certainty is Certainty.OPEN]
    absent = [pair for pair in read if not pair[1].is_finding and pair[1].certainty is Certainty.STANDS]
    doubted = level in withheld_slips(result.flags)
    if doubted:
        absent = [pair for pair in absent if pair[0].target != SLIP]
    yield from (sentence(_in_full(one, reading, words, result)) for one, reading in (*found, *likely))
    yield from _absent_sentences(absent, words, result)
    if still:
        names = [_open(one, reading, words, result) for one, reading in still]
        yield sentence(words("open", findings=words.listed(names)))
    slip = _contradicted_slips(result).get(level)
    if slip is not None:
        key = "slip_measured" if slip.value > 0 else "backward_slip_measured"
        yield sentence(words(key, value=slip_written(slip, words)))
    if doubted:
        yield sentence(words("slip_doubted"))
    narrow = [one for one in narrow_canals_of(result) if one.level == level]
    if not (found or likely or absent or still or narrow or doubted):
        yield sentence(words("undecided"))
    yield from _canal_sentences(result, level, narrow, words)


def _canal_sentences(result: StudyResult, level: str, narrow: Sequence[NarrowCanal], words: Phrases) -> Iterator[str]:
    """What was measured of the canal at a level, or that it could not be."""
    for canal in narrow:
        yield from (sentence(canal_size(size, words, roomy_sac=canal.roomy_sac)) for size in canal.sizes)
    if any(one.level == level for one in unmeasured_canals_of(result)):
        yield sentence(words("canal_unmeasured"))
    sac, told = measured_at(result, level, SAC_AREA), {size.name for canal in narrow for size in canal.sizes}
    if sac is not None and sac.error_95 is not None and SAC_AREA not in told:
        key, limit = "sac_open" if may_be_narrow(sac) else "sac", f"{LIMITS[SAC_AREA][1]:.0f}"
        yield sentence(words(key, value=f"{sac.value:.0f}", error=f"{sac.error_95:.0f}", limit=limit))


def _contradicted_slips(result: StudyResult) -> dict[str, Measurement]:
    return {slip.level: slip for slip in contradicted_slips(result.predictions, result.measurements)}


def finding_key(prediction: Prediction, result: StudyResult) -> str:
    """The key of a finding in a table: a slip is named by its direction where that was measured."""
    if prediction.target != "spondylolisthesis":
        return prediction.target
    slip_mm = value_at(result, prediction.level, "slip_mm")
    if slip_mm is None or abs(slip_mm) < LEAST_SLIP_MM:
        return prediction.target
    return "anterolisthesis" if slip_mm > 0 else "retrolisthesis"


def brief(prediction: Prediction, reading: Reading, words: Phrases, result: StudyResult) -> str:
    """A finding in as few words as it has."""
    grade = _grades(prediction, reading, words)
    return words.brief(finding_key(prediction, result), grade=grade, **_vertebrae(prediction.level))


def _vertebrae(level: str) -> dict[str, str]:
    """The vertebrae beside a disc, for phrases that name them."""
    return dict(zip(("upper", "lower"), level.split("/"), strict=True))


def _open(prediction: Prediction, reading: Reading, words: Phrases, result: StudyResult) -> str:
    """What cannot be excluded, with its probability, and that it is experimental where it is."""
    details = [words("share", percent=reading.percent), *([words("untried")] if prediction.experimental else [])]
    if prediction.target == "spondylolisthesis":
        details += slip_details(prediction.level, words, result)
    return words("more", finding=brief(prediction, reading, words, result), details=words("then").join(details))


def _absent_sentences(
    absent: Sequence[tuple[Prediction, Reading]], words: Phrases, result: StudyResult
) -> Iterator[str]:
    """What is absent: first where that was read in the mid-sagittal slices alone."""
    at_midline = [pair for pair in absent if is_of_midline(result, pair[0])]
    elsewhere = [pair for pair in absent if pair not in at_midline]
    for key, those in (("none_at_midline", at_midline), ("none_of", elsewhere)):
        if those:
            yield sentence(words(key, findings=words.listed(_absences(those, words), "nor")))


def _absences(absent: Sequence[tuple[Prediction, Reading]], words: Phrases) -> list[str]:
    """What is absent, both end-plates in one word."""
    names = {
        one.target: words.of("none", one.target, grade=_grades(one, reading, words), **_vertebrae(one.level))
        for one, reading in absent
    }
    if {"endplate_upper", "endplate_lower"} <= set(names):
        names["endplate_upper"] = words.of("none", "endplates")
        del names["endplate_lower"]
    return list(names.values())


def _in_full(prediction: Prediction, reading: Reading, words: Phrases, result: StudyResult) -> str:
    """A finding in full, with its probability where it is possible and the measurements that belong to it."""
    grade = _grades(prediction, reading, words)
    finding = words.of("finding", finding_key(prediction, result), grade=grade, **_vertebrae(prediction.level))
    likely = reading.certainty is Certainty.LIKELY
    details = [words("share", percent=reading.percent)] if likely else []
    if prediction.experimental:
        details.append(words("untried"))
    if prediction.target == NARROWING:
        details += height_details(prediction.level, words, result)
    elif prediction.target == "spondylolisthesis":
        details += slip_details(prediction.level, words, result)
    told = words.surely(reading.word, finding)
    return words("more", finding=told, details=words("then").join(details)) if details else told


def _grades(prediction: Prediction, reading: Reading, words: Phrases) -> str:
    """The grades that are said, in the words of the language; numerals are the same in all."""
    target = TARGET[prediction.target]
    if target.scale is Scale.BINARY:
        return ""
    if not words.knows(target.name):
        return words.either([target.step(grade).words for grade in reading.grades]) if reading.is_finding else ""
    if target.name in ("pfirrmann", "modic"):
        return words.either([target.step(grade).short.split()[-1] for grade in reading.grades])
    return words.either([words.of("severity", str(grade)) for grade in reading.grades]) if reading.is_finding else ""


def _technique(result: StudyResult, model: Mapping[str, Any], words: Phrases) -> Iterator[str]:
    """What was read, what was not there, what was therefore not graded, and how levels are counted."""
    there = {one.series.view for one in result.located}
    usual = [view for view in VIEWS if view.value in model.get("views", ())]
    yield words("read", series=words.listed([words.of("view", view.value) for view in VIEWS if view in there]))
    lacking = lacking_views(there, usual)
    if lacking:
        yield words("absent_views", series=words.listed([words.of("view", view.value) for view in lacking]))
    left_out = not_graded(result.predictions, model.get("targets", ()))
    if left_out:
        yield words("not_graded", targets=words.listed([words.of("target", name) for name in left_out]))
    measured_in = _measured_in(result, words)
    if measured_in:
        yield words("measured_in", series=words.listed(measured_in))
    yield _naming(result, words)
    if _names_are_doubtful(result):
        yield words("doubtful_names")


def _measured_in(result: StudyResult, words: Phrases) -> list[str]:
    """What the series show that sizes were measured in by outlines; how a scanner calls them stands on the page."""
    view_of = {one.series.name: one.series.view for one in result.located}
    views = dict.fromkeys(view_of.get(one.series) for one in result.measurements if one.series)
    return [words.of("view", view.value) for view in views if view]


def _names_are_doubtful(result: StudyResult) -> bool:
    return any(flag.code == DOUBTFUL_NAMES for flag in result.flags)


def _naming(result: StudyResult, words: Phrases) -> str:
    """How the levels came by their names."""
    review, naming = review_of(result), naming_of(result)
    if naming is None and review is not None:
        return words("named_by_reader", reader=review.reader)
    if naming is not None and naming.code == RENAMED and review is not None:
        return words("renamed_by_reader", reader=review.reader)
    return words("numbering" if naming is NUMBERING else "named_beforehand")


def not_graded(predictions: Sequence[Prediction], targets: Sequence[str]) -> list[str]:
    """Those of a model's targets that are graded at no level."""
    graded = {one.target for one in predictions}
    return [name for name in targets if name not in graded]


def lacking_views(there: set[Any], usual: Sequence[Any]) -> list[Any]:
    """The views that a model can use and a study lacks; STIR is none where there is T2, which says more."""
    has_t2 = any(view is not None and view.value == "sagittal_t2" for view in there)
    return [view for view in usual if view not in there and not (has_t2 and view.value == "sagittal_stir")]


def _impression(words: Phrases, result: StudyResult) -> Iterator[str]:
    """A line a level, that of the gravest finding first, as everywhere. Last, in one line, the levels where more is
    possible that is slight."""
    ranking = ranking_of(result)
    if _names_are_doubtful(result):
        yield words("doubtful_names")
    for level in ranking.levels:
        findings = [_concluded(one, words, result) for one in ranking.leading if one.level == level]
        yield words("at_level", level=level, findings=words("then").join(findings))
    slight = {one.level for one in ranking.slight}
    if slight:
        yield words("slight", levels=words.listed([level for level in level_names(result) if level in slight]))
    elif not ranking.leading:
        yield words("nothing")


def _concluded(ranked: RankedFinding, words: Phrases, result: StudyResult) -> str:
    """A finding of the impression."""
    prediction = ranked.source
    if not isinstance(prediction, Prediction):
        return measured_finding(prediction, words)
    reading = reading_of(prediction)
    finding = brief(prediction, reading, words, result)
    details = [words("untried")] if prediction.experimental else []
    if reading.certainty is Certainty.LIKELY:
        details = [words("share", percent=reading.percent), *details]
    finding = words.surely(reading.word, finding)
    return words("more", finding=finding, details=words("then").join(details)) if details else finding


def _left_out(target: str, result: StudyResult, words: Phrases) -> str:
    """A target that is left out, but at the levels where it is reported, as where a reader graded it."""
    name, there = words.of("target", target), {one.level for one in result.reported if one.target == target}
    levels = words.listed([level for level in level_names(result) if level in there])
    return words("but_at", target=name, levels=levels) if there else name


def _not_assessed(result: StudyResult, words: Phrases) -> Iterator[str]:
    """What was left out or never looked for, and that silence is not absence."""
    left_out = {one.target for one in result.predictions if one.experimental and not result.experimental}
    if left_out:
        names = [_left_out(target.name, result, words) for target in TARGETS if target.name in left_out]
        yield words("experimental", targets=words.listed(names))
    if misses_beside_midline(result):
        yield words("beside_midline")
    if narrow_canals_of(result):
        yield words("canal_sizes")
    yield words("not_looked_for", things=words.listed([words.of("never", thing) for thing in NEVER_LOOKED_FOR]))
    yield words("adults")
    yield words("silence")
