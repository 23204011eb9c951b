"""The report text: every sentence is read back and agrees with the grades it was made from, in every language."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from spinenet.labels import LEVELS, NEVER_LOOKED_FOR, RESEARCH_ONLY, TARGET, TARGETS, VIEWS, Scale
from spinenet.report.certainty import EXPLAINED, Certainty, reading_of
from spinenet.report.options import Language
from spinenet.report.page.page_words import page_words
from spinenet.report.ranking import ranking_of
from spinenet.report.text.language import phrases, sentence
from spinenet.report.text.narrative import Narrative, narrative
from spinenet.study import Measurement, Prediction, StudyResult
from spinephantom.patient.pathology import Mode
from spinephantom.patient.person import sample_person
from spinephantom.population.prevalence import sample_spine
from spinephantom.truth.grades import grade
from spinephantom.truth.morphometry import measure

MODEL = {"name": "test", "version": "1", "views": [view.value for view in VIEWS], "targets": list(TARGET)}
NUMERALS = ("I", "II", "III", "IV", "V")


def of_truth(seed: int) -> StudyResult:
    """The grades of a phantom's two lowest discs, as a model would give that is always right and sure of it."""
    streams = [np.random.default_rng(one) for one in np.random.SeedSequence(seed).spawn(6)]
    spine = sample_spine(streams[1], Mode.BALANCED, sample_person(streams[0], Mode.BALANCED))
    predictions, slips = [], []
    for index, disc in enumerate(spine.discs[:2]):
        measured = measure(spine, index)
        slips.append(Measurement(disc.level, "slip_mm", measured.slip_mm, "mm"))
        for name, value in grade(measured).items():
            shares = tuple(float(one == value) for one in TARGET[name].grades)
            predictions.append(Prediction(disc.level, name, value, shares, True, grade_set=(value,)))
    return StudyResult(str(seed), "ok", 0.0, predictions=tuple(predictions), measurements=tuple(slips))


def of_chance(seed: int) -> StudyResult:
    """Grades of every kind: sure, likely, open and experimental ones."""
    generator = np.random.default_rng(seed)
    predictions = []
    for level in LEVELS[:5]:
        for target in TARGETS:
            shares = generator.dirichlet(np.full(len(target.grades), 0.7))
            listed = tuple(value for value, share in zip(target.grades, shares, strict=True) if share > 0.2)
            value = target.grades[int(shares.argmax())]
            kind = "synthetic" if generator.random() < 0.1 else "real"
            sure = bool(generator.random() < 0.4) and kind == "real"
            probabilities = tuple(float(share) for share in shares)
            predictions.append(Prediction(level, target.name, value, probabilities, sure, kind, listed or (value,)))
    return StudyResult(str(seed), "ok", 0.0, predictions=tuple(predictions))


Said = tuple[str, str, tuple[int, ...]]
"""How surely, target, and the grades that are meant."""


def read_back(text: str) -> Iterator[Said]:
    """What the sentences of one level claim; AssertionError for a sentence that claims nothing we know."""
    for one in re.findall(r"[^.]*?(?:\d\.\d[^.]*?)*\.(?= |$)", text):
        words = one.strip().rstrip(".")
        if words == "No grade here that the model stands by":
            continue
        if words.startswith("Cannot be excluded: "):
            parts = re.split(r"(?<=%\)), ", words.removeprefix("Cannot be excluded: "))
            for part in parts:
                yield ("open", *claim(part))
        elif words.startswith(("No ", "In the mid-sagittal slices no ")):
            for part in re.split(
                r", | or (?!severe|II|IV|V\b)", words.partition(" no " if words.startswith("In") else "No ")[2]
            ):
                yield from (("absent", *what) for what in absences(part))
        elif words.startswith(("Likely ", "Possible ")):
            surely, _, finding = words.partition(" ")
            yield (surely.lower(), *claim(finding))
        else:
            yield ("stands", *claim(words))


def claim(words: str) -> tuple[str, tuple[int, ...]]:
    patterns = {
        r"disc degeneration, Pfirrmann grade ([IV]+)(?: (or|to) ([IV]+))?": "pfirrmann",
        r"modic changes type (\d)(?: (or|to) (\d))?": "modic",
        r"disc herniation": "herniation",
        r"disc bulging": "bulging",
        r"disc space narrowing": "narrowing",
        r"(?:spondylo|antero|retro)l[io]\w*": "spondylolisthesis",
        r"abnormality of the inferior end-plate of [TL]\d+": "endplate_upper",
        r"abnormality of the superior end-plate of [LS]\d": "endplate_lower",
        r"(moderate|severe)(?: (or) (severe))? spinal canal stenosis": "canal_stenosis",
        r"(moderate|severe)(?: (or) (severe))? (left|right) foraminal stenosis": "foraminal_stenosis",
        r"(moderate|severe)(?: (or) (severe))? (left|right) subarticular stenosis": "subarticular_stenosis",
    }
    for pattern, name in patterns.items():
        found = re.match(pattern, words, re.IGNORECASE)
        if found:
            groups = found.groups()
            if len(groups) == 4:
                name = f"{name}_{groups[3]}"
            return name, grades_in(name, [one for one in groups[:3] if one])
    raise AssertionError(f"not a claim: {words}")


def grades_in(name: str, words: list[str]) -> tuple[int, ...]:
    if TARGET[name].scale is Scale.BINARY:
        return (1,)
    if name == "pfirrmann":
        values = [NUMERALS.index(one) + 1 for one in words if one in NUMERALS]
    elif name == "modic":
        values = [int(one) for one in words if one.isdigit()]
    else:
        values = [("moderate", "severe").index(one.lower()) + 1 for one in words if one.lower() != "or"]
    return tuple(range(values[0], values[-1] + 1)) if "to" in words else tuple(values)


def absences(words: str) -> list[tuple[str, tuple[int, ...]]]:
    if words == "end-plate abnormality":
        return [("endplate_upper", (0,)), ("endplate_lower", (0,))]
    found = re.fullmatch(r"disc degeneration \(Pfirrmann grade ([IV]+)\)", words)
    if found:
        return [("pfirrmann", (NUMERALS.index(found[1]) + 1,))]
    if words == "Modic changes":
        return [("modic", (0,))]
    name, _ = claim(words)
    return [(name, (0,))]


def expected(result: StudyResult, level: str) -> set[Said]:
    told = set()
    for one in (one for one in result.reported if one.level == level):
        reading = reading_of(one)
        kind = {Certainty.STANDS: "stands", Certainty.OPEN: "open"}.get(reading.certainty, reading.word)
        if reading.is_finding:
            told.add((kind, one.target, reading.grades))
        elif reading.certainty is Certainty.STANDS:
            told.add(("absent", one.target, reading.grades))
    return told


TRUTHS = [pytest.param(of_truth, seed, marks=[pytest.mark.slow] * (seed > 3)) for seed in range(20)]


@pytest.mark.parametrize(("make", "seed"), [*TRUTHS, *((of_chance, seed) for seed in range(20))])
def test_every_sentence_agrees_with_the_grades(make: Any, seed: int) -> None:
    result = make(seed)
    text = narrative(result, MODEL)
    assert text.findings
    for level, sentences in text.findings:
        claims = list(read_back(" ".join(sentences)))
        assert len(claims) == len(set(claims))
        assert set(claims) == expected(result, level), (level, sentences)


@pytest.mark.parametrize("seed", range(20))
def test_the_impression_holds_every_finding_once_and_nothing_else(seed: int) -> None:
    """What is slight is told by its level alone, in one line."""
    result = of_chance(seed)
    told: list[tuple[str, str, str, tuple[int, ...]]] = []
    *lines, last = narrative(result, MODEL).impression
    slight = [level for level in result.graded_levels if level in last and last.startswith("Also likely or possible")]
    for line in lines if slight else [*lines, last]:
        level, _, findings = line.rstrip(".").partition(": ")
        for finding in re.split(r"; (?![^(]*\))", findings):
            surely, _, rest = finding.partition(" ")
            is_sure = surely not in ("likely", "possible")
            told.append(("stands", level, *claim(finding)) if is_sure else (surely, level, *claim(rest)))
    found = [
        (kind, level, target, grades)
        for level in result.graded_levels
        for kind, target, grades in expected(result, level)
        if kind in ("stands", "likely", "possible")
    ]
    is_common = [
        kind in ("likely", "possible")
        and (target.startswith("endplate") or (target == "pfirrmann" and min(grades) < 4))
        for kind, _, target, grades in found
    ]
    assert sorted(told) == sorted(one for one, common in zip(found, is_common, strict=True) if not common)
    assert set(slight) == {one[1] for one, common in zip(found, is_common, strict=True) if common}


def test_a_slip_is_named_by_its_direction_and_size() -> None:
    slip = Prediction("L4/L5", "spondylolisthesis", 1, (0.1, 0.9), True)
    sizes = [("slip_mm", 6.2, "mm"), ("slip_percent", 17.4, "%"), ("meyerding_grade", 1.0, "1")]
    measured = tuple(Measurement("L4/L5", *one) for one in sizes)
    result = StudyResult("a", "ok", 0.0, predictions=(slip,), measurements=measured)
    words = "Anterolisthesis of L4 on L5 (6.2 mm, 17 % of the end-plate, Meyerding grade I)."
    assert narrative(result, MODEL).findings == (("L4/L5", (words,)),)
    backward = replace(result, measurements=(Measurement("L4/L5", "slip_mm", -4.0, "mm", 1.5),))
    assert narrative(backward, MODEL).findings[0][1] == ("Retrolisthesis of L4 on L5 (4.0 mm).",)
    assert narrative(backward, MODEL, Language.DE).findings[0][1] == ("Retrolisthesis von L4 gegenüber L5 (4,0 mm).",)
    unmeasured = replace(result, measurements=())
    assert narrative(unmeasured, MODEL).findings[0][1] == ("Spondylolisthesis of L4 on L5.",)


def test_experimental_grades_have_no_part_in_the_text_unless_asked_for() -> None:
    tried = Prediction("L4/L5", "canal_stenosis", 2, (0.0, 0.1, 0.9), False, "synthetic")
    result = StudyResult("a", "ok", 0.0, predictions=(tried,))
    text = narrative(result, MODEL)
    assert "severe" not in "".join((*text.findings[0][1], *text.impression))
    assert "Graded experimentally only, and left out here: spinal canal stenosis." in text.not_assessed
    asked = narrative(replace(result, experimental=True), MODEL)
    assert asked.findings[0][1] == (
        "Likely severe spinal canal stenosis (90 %; experimental, not verified on patients).",
    )


@pytest.mark.parametrize("language", Language)
def test_the_text_says_what_was_not_looked_for_and_that_it_is_for_research(
    graded: StudyResult, model: dict[str, object], language: Language
) -> None:
    text = narrative(graded, {**MODEL, **model}, language)
    words = phrases(language)
    whole = re.sub("[\u2066\u2069\u200f]", "", text.text())
    assert all(words.of("never", thing) in whole for thing in NEVER_LOOKED_FOR)
    assert words("notice") in whole and words("silence") in whole and words("adults") in whole
    assert "{" not in whole and "}" not in whole
    if language is Language.EN:
        assert words("notice") == RESEARCH_ONLY


def _leaves(table: dict[str, Any], before: str = "") -> dict[str, set[str]]:
    leaves: dict[str, set[str]] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            leaves |= _leaves(value, f"{before}{key}.")
        else:
            leaves[before + key] = set(re.findall(r"{(\w+)}", str(value)))
    return leaves


@pytest.mark.parametrize("language", list(Language)[1:])
def test_every_language_has_the_same_phrases_with_the_same_places(language: Language) -> None:
    tables = [
        tomllib.loads((files("spinenet.report.text") / f"{name}.toml").read_text(encoding="utf-8"))
        for name in (Language.EN, language)
    ]
    assert _leaves(tables[0]) == _leaves(tables[1])


def test_every_target_has_its_words() -> None:
    words = phrases(Language.EN)
    for target in TARGETS:
        for group in ("finding", "none", "target"):
            assert words.of(group, target.name, grade="", upper="", lower="")


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("seed", range(4))
def test_languages_say_the_same(language: Language, seed: int) -> None:
    """As many sentences a level, the same numbers and numerals in the same order of findings."""
    result = of_chance(seed)
    english, other = narrative(result, MODEL), narrative(result, MODEL, language)
    for (level, first), (same, second) in zip(english.findings, other.findings, strict=True):
        assert level == same and len(first) == len(second)
        for one, two in zip(first, second, strict=True):
            assert numbers(one) == numbers(two)
    assert len(english.impression) == len(other.impression)


def numbers(text: str) -> list[str]:
    return sorted(re.findall(r"\d+|\b[IV]+\b", text))


def test_the_impression_begins_with_the_level_of_the_gravest_finding_and_names_each_level_once() -> None:
    result = of_chance(1)
    lines = [line for line in narrative(result, MODEL).impression if line[:1] in "LT"]
    levels = [line.split(":")[0] for line in lines]
    ranks = [max(one.rank for one in ranking_of(result).leading if one.level == level) for level in levels]
    assert ranks == sorted(ranks, reverse=True) and len(levels) == len(set(levels)) > 2


def test_what_is_experimental_at_other_levels_is_left_out_by_name_though_a_reader_graded_one() -> None:
    tried = Prediction("L4/L5", "canal_stenosis", 2, (0.0, 0.1, 0.9), False, "synthetic")
    read = Prediction("L5/S1", "canal_stenosis", 0, (1.0, 0.0, 0.0), True, "reader")
    text = narrative(StudyResult("a", "ok", 0.0, predictions=(tried, read)), MODEL)
    assert "Graded experimentally only, and left out here: spinal canal stenosis (but at L5/S1)." in text.not_assessed


@pytest.mark.parametrize("language", list(Language))
def test_page_and_text_say_how_surely_in_one_word(language: Language) -> None:
    words, text = page_words(language), phrases(language)
    for share, word in ((0.7, "likely"), (0.4, "possible")):
        one = Prediction("L4/L5", "herniation", 1, (1 - share, share), False)
        said = [
            line.lower()
            for line in narrative(StudyResult("a", "ok", 0.0, predictions=(one,)), MODEL, language).impression
        ]
        assert reading_of(one).word == word and words.said(one) == text.of("surely", word)
        assert words.said(one) in said[0] and f"{words.said(one)}:" in words(EXPLAINED).lower().replace(" :", ":")


def test_a_sentence_begins_with_a_capital() -> None:
    assert sentence("no disc herniation") == "No disc herniation."


def test_a_study_without_a_finding_says_so() -> None:
    calm = Prediction("L4/L5", "herniation", 0, (1.0, 0.0), True)
    text: Narrative = narrative(StudyResult("a", "ok", 0.0, predictions=(calm,)), MODEL)
    assert text.impression == ("No finding that the model stands by or holds likely.",)


def test_in_arabic_every_latin_run_goes_from_the_left_and_every_line_from_the_right() -> None:
    result = of_chance(3)
    lines = narrative(result, MODEL, Language.AR).text().splitlines()
    assert all(line.startswith("\u200f") for line in lines if line)
    bare = re.sub("\u2066[^\u2069]*\u2069", "", "\n".join(re.sub(r"^\u200f\d+\. ", "", line) for line in lines))
    assert not re.search(r"[A-Za-z0-9]", bare), re.findall(r"[A-Za-z0-9][^\n]{0,30}", bare)
    assert "\u2066" not in narrative(result, MODEL, Language.DE).text()
