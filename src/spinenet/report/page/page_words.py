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
from spinenet.report.certainty import BY_READER, Certainty, in_full, reading_of, said
from spinenet.report.findings import short_words
from spinenet.report.narrow_canal import NarrowCanal
from spinenet.report.options import Language
from spinenet.report.text.language import phrases
from spinenet.study import Prediction

BREAK_BEHIND = (
    "degene",
    "dégéné",
    "ondylo",
    "Bandscheiben",
    "Zwischenwirbel",
    "Verände",
    "Neuroforamen",
    "Kanal",
    "Rezessus",
)
"""Parts of long words behind which a column's head may break them."""
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
            self._table = tomllib.loads(text)

    def __call__(self, english: str, **values: object) -> str:
        """Words in this language, the places in braces filled.

        >>> page_words(Language.FR)("slice {number} of {count}", number=2, count=9)
        'coupe 2 sur 9'
        """
        return str(self._table.get(english, english)).format(**values)

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

    def view(self, view: View) -> str:
        """What a series shows."""
        return view.words if self.is_english else self.phrases.of("view", view.value)

    def title(self, target: Target) -> str:
        """A target where it stands alone."""
        if self.is_english:
            return target.title
        name = self.running(target)
        return f"{name[:1].upper()}{name[1:]}"

    def running(self, target: Target) -> str:
        """A target within a line."""
        return target.running if self.is_english else self.phrases.of("target", target.name)

    def broken(self, title: str) -> str:
        """A title with soft hyphens where the words of a narrow column may be broken.

        >>> ENGLISH.broken("Spondylolisthesis").split("\\N{SOFT HYPHEN}")
        ['Spondylo', 'listhesis']
        """
        for part in BREAK_BEHIND:
            title = title.replace(part, f"{part}\u00ad")
        return title

    def size(self, quantity: Quantity) -> str:
        """A quantity with its unit, at the head of a column."""
        words = self(quantity.words)
        return f"{words}, {quantity.sign}" if quantity.sign else words

    def grade(self, target: Target, grade: int) -> str:
        """A grade where a heading says the target."""
        return self(short_words(target, grade))

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
        if reading.certainty is Certainty.OPEN and target.scale is Scale.BINARY:
            return surely
        return f"{surely} {self.phrases.either([self.grade(target, grade) for grade in reading.grades])}".strip()

    def in_full(self, prediction: Prediction) -> str:
        """A grade as a phrase of its own, with how surely and how probable."""
        if self.is_english:
            return in_full(prediction)
        by = BY_READER.get(prediction.evidence)
        how = self(by) if by else f"{reading_of(prediction).percent} %"
        told = f"{prediction.level} {self.running(TARGET[prediction.target])}: {self.said(prediction)} ({how})"
        return f"\u2067{told}\u2069" if self.phrases("direction") == "rtl" else told  # apart from its neighbours

    def narrow(self, canal: NarrowCanal) -> str:
        """A canal that was measured to be narrow."""
        sizes = {"depth": canal.depth_mm, "error": canal.error_mm, "others": canal.others_mm}
        told = {name: self.number(f"{mm:.1f}") for name, mm in sizes.items() if mm is not None}
        if canal.others_mm is None:
            return self("{level} spinal canal {depth} mm deep (± {error} mm)", level=canal.level, **told)
        return self(
            "{level} spinal canal {depth} mm deep (± {error} mm; other levels {others} mm)", level=canal.level, **told
        )


@functools.cache
def page_words(language: Language) -> PageWords:
    """The words of a page in a language."""
    return PageWords(language)


ENGLISH = page_words(Language.EN)
