"""The words of a study's page in one language: translations looked up by the English words the page is written in.

What the program itself remarks on files and images, with names and figures in it, stays English; a warning gets its
heading by its code.
"""

import functools
import re
import tomllib
from importlib.resources import files
from typing import Any

from spinenet.labels import TARGET, Scale, Target, View
from spinenet.locating.measuring.quantities import Quantity
from spinenet.report.certainty import BY_READER, Certainty, in_full, is_word_enough, label, reading_of, said
from spinenet.report.findings import short_words
from spinenet.report.options import Language
from spinenet.report.ranking import RankedFinding
from spinenet.report.text.language import phrases
from spinenet.report.text.size_phrases import measured_finding
from spinenet.study import Prediction

PARTS = (
    "abomba|altera|anoma|auszu|ausge|band|bombe|cana|deck|degene|dégéné|desliza|dismi|espondilo|experi|foramina|fora|"
    "glisse|grund|höhen|kanal|minde|mini|narrow|neuro|nicht vor|pince|proba|profon|profun|remanie|réces|rezessus|"
    "möglicher|scheiben|schein|schlie|seg|spinal|spondylo|steno|subarti|sté|verände|verté|vorwöl|wahr|wirbel|zwischen"
)
BREAK_BEHIND = re.compile(rf"({PARTS})(?=\w{{3}})", re.IGNORECASE)
"""Parts of long words behind which a column may break them."""
NO_BREAK = "\u00a0"
IN_SCRIPTS = re.compile(r'\bt\("((?:[^"\\]|\\.)+)"')
"""A word in a script."""


class PageWords:
    """Translates what a page says; English words come back as they are."""

    def __init__(self, language: Language) -> None:
        self.language, self.phrases = language, phrases(language)
        self.is_english = language is Language.EN
        self._table: dict[str, Any] = {}
        if not self.is_english:
            text = files(__package__).joinpath("words", f"{language}.toml").read_text(encoding="utf-8")
            self._table = tomllib.loads(text) | self.phrases.table("surely")

    def __call__(self, english: str, **values: object) -> str:
        """Words in this language, the places in braces filled.

        >>> page_words(Language.FR)("slice {number} of {count}", number=2, count=9)
        'coupe 2 sur 9'
        """
        return str(self._table.get(english, english)).format(**values)

    @property
    def frame(self) -> dict[str, str]:
        """What every page says of its language and of its use."""
        return {
            "language": str(self.language),
            "direction": self.phrases("direction"),
            "notice": self.phrases("notice"),
            "elsewhere": "" if self.is_english else self.phrases("page_language"),
        }

    def counted(self, count: int, one: str, several: str) -> str:
        """So many things, one of them in words of its own.

        >>> ENGLISH.counted(1, "1 level", "{count} levels"), ENGLISH.counted(0, "1 level", "{count} levels")
        ('1 level', '0 levels')
        """
        return self(one if count == 1 else several, count=count)

    def number(self, text: str) -> str:
        """A number as written in this language."""
        return self.phrases.number(text)

    def warning(self, code: str) -> str:
        """The heading of a warning; "" in English, and for one that has none."""
        return str(self._table.get("note", {}).get(code, ""))

    def in_scripts(self, script: str) -> dict[str, str]:
        """The translations that a script asks for, by the English words; none in English."""
        asked = IN_SCRIPTS.findall(script)
        return {english: self._table[english] for english in asked if english in self._table}

    def urgency(self, word: str) -> str:
        """An urgency, or that nothing was graded; "moderate" is another word than of a stenosis in other languages."""
        return self("moderate priority") if word == "moderate" and not self.is_english else self(word)

    def view(self, view: View) -> str:
        """What a series shows."""
        return view.words if self.is_english else self.phrases.of("view", view.value)

    def title(self, target: Target) -> str:
        """A target where it stands alone: as a finding, so that "present" under it says what is there."""
        if self.is_english:
            return target.title
        name = str(self._table.get(target.title, self.running(target)))
        return f"{name[:1].upper()}{name[1:]}"

    def running(self, target: Target) -> str:
        """A target within a line."""
        return target.running if self.is_english else self.phrases.of("target", target.name)

    def at(self, target: Target, level: str) -> str:
        """A level and what is graded there, named as the finding that it may be, as the report text does.

        >>> page_words(Language.DE).at(TARGET["endplate_upper"], "L3/L4")
        'L3/L4 Veränderungen der Grundplatte von L3'
        """
        return f"{self.apart(level)} {self.finding(target, level)}"

    def finding(self, target: Target, level: str) -> str:
        """What is graded at a level, named as the finding that it may be."""
        if self.is_english:
            return target.at(level)
        if target.scale is not Scale.BINARY or not self.phrases.knows(target.name):
            return self.running(target)
        upper, lower = map(self.apart, level.split("/"))
        return self.phrases.brief(target.name, upper=upper, lower=lower)

    def apart(self, latin: str) -> str:
        """A level, a numeral or a per cent that runs from the left whatever stands around it.

        >>> page_words(Language.AR).apart("IV") == "\\N{LEFT-TO-RIGHT ISOLATE}IV\\N{POP DIRECTIONAL ISOLATE}"
        True
        """
        return f"\u2066{latin}\u2069" if self.phrases("direction") == "rtl" else latin

    def percent(self, percent: float) -> str:
        """A share as it is written; no line ends before its sign."""
        return self.apart(f"{percent:.0f}{' ' if self.is_english else NO_BREAK}%")

    def unit(self, quantity: Quantity) -> str:
        """The unit of a quantity; "" for one that has none."""
        return self(quantity.sign) if quantity.sign else ""

    def broken(self, title: str) -> str:
        """A title with soft hyphens where the words of a narrow column may be broken.

        >>> ENGLISH.broken("Spondylolisthesis").split("\\N{SOFT HYPHEN}")
        ['Spondylo', 'listhesis']
        """
        return BREAK_BEHIND.sub("\\1\u00ad", title)

    def size(self, quantity: Quantity) -> str:
        """A quantity with its unit, at the head of a column."""
        return self.phrases("comma").join(filter(None, (self(quantity.words), self.unit(quantity))))

    def grade(self, target: Target, grade: int) -> str:
        """A grade where a heading says the target."""
        words = self(short_words(target, grade))
        return self.apart(words) if words.isascii() else words

    def said(self, prediction: Prediction) -> str:
        """A grade below its target's title, with how surely.

        >>> one = Prediction("L4/L5", "pfirrmann", 3, (0.0, 0.1, 0.5, 0.4, 0.0), False, grade_set=(3, 4))
        >>> page_words(Language.ES).said(one)
        'probable III o IV'
        """
        if self.is_english:
            return said(prediction)
        reading, target = reading_of(prediction), TARGET[prediction.target]
        surely = self(reading.word) if reading.word else ""
        if is_word_enough(reading, target):
            return surely
        return f"{surely} {self.phrases.either([self.grade(target, grade) for grade in reading.grades])}".strip()

    def label(self, prediction: Prediction) -> str:
        """A grade where no heading says its scale."""
        if self.is_english:
            return label(prediction)
        told = self.grade(TARGET[prediction.target], prediction.grade)
        return f"{told}?" if prediction.experimental else self.said(prediction)

    def in_full(self, prediction: Prediction) -> str:
        """A grade as a phrase of its own, with how surely and how probable."""
        if self.is_english:
            return in_full(prediction)
        by = BY_READER.get(prediction.evidence)
        how = self(by) if by else self.percent(reading_of(prediction).percent)
        told = f"{self.at(TARGET[prediction.target], prediction.level)}: {self.said(prediction)} ({how})"
        return self.apart_from_left(told)

    def apart_from_left(self, told: str) -> str:
        """A phrase that stands in a row of others, whatever begins these."""
        return f"\u2067{told}\u2069" if self.phrases("direction") == "rtl" else told

    def not_excluded(self, prediction: Prediction) -> str:
        """A finding where a heading says that it cannot be excluded."""
        open_word = self(Certainty.OPEN.value)
        return self.in_full(prediction).replace(f": {open_word} (", " (").replace(f": {open_word} ", ": ")

    def ranked(self, finding: RankedFinding) -> str:
        """A finding among those that lead: a grade, or what was measured and not graded."""
        if isinstance(finding.source, Prediction):
            return self.in_full(finding.source)
        told = f"{self.apart(finding.level)} {measured_finding(finding.source, self.phrases)}"
        return self.apart_from_left(told)


@functools.cache
def page_words(language: Language) -> PageWords:
    """The words of a page in a language."""
    return PageWords(language)


ENGLISH = page_words(Language.EN)
