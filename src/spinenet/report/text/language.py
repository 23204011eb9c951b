"""The words of a report in one language: a table of phrases a language, all with the same keys and the same places."""

import functools
import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from spinenet.labels import TARGET
from spinenet.report.certainty import alternatives
from spinenet.report.options import Language

Table = Mapping[str, Any]
LATIN = re.compile(r"(?:[±+−≈-] ?)?[A-Za-z0-9](?:[A-Za-z0-9./:_^@%-]|[ \u00a0](?=[A-Za-z0-9%]))*(?<=[A-Za-z0-9%])")
"""A run that goes from the left."""


@functools.cache
def phrases(language: Language) -> "Phrases":
    """The phrases of a language."""
    return Phrases(tomllib.loads((files(__package__) / f"{language}.toml").read_text(encoding="utf-8")))


class Phrases:
    """Phrases by key; in those of a table the places in braces are filled."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def __call__(self, key: str, **values: object) -> str:
        """A phrase of the table's top."""
        return str(self._table[key]).format(**values)

    def of(self, group: str, key: str, **values: object) -> str:
        """A phrase of a group, such as ``finding`` or ``view``; a target without one is called by its English term."""
        if key not in self._table[group] and key in TARGET:
            grade = values.get("grade")
            return f"{TARGET[key].running}: {grade}" if grade else TARGET[key].running
        return str(self._table[group][key]).format(**values)

    def knows(self, target: str) -> bool:
        """Whether a target has phrases."""
        return target in self._table["finding"]

    def group(self, group: str) -> list[str]:
        """The keys of a group."""
        return list(self._table[group])

    def table(self, group: str) -> dict[str, str]:
        """A group as it is."""
        return dict(self._table[group])

    def surely(self, word: str, finding: str) -> str:
        """A finding after the word that says how surely (``Reading.word``), the same as on the page.

        >>> phrases(Language.DE).surely("likely", "Bandscheibenvorfall")
        'wahrscheinlich Bandscheibenvorfall'
        """
        return self("how", surely=self.of("surely", word), finding=finding) if word else finding

    def brief(self, key: str, **values: object) -> str:
        """A finding where levels follow or many stand in a row."""
        return self.of("brief" if key in self._table["brief"] else "finding", key, **values)

    def listed(self, words: Sequence[str], last: str | None = None) -> str:
        """Words in a row; before the last one stands ``last``, a key such as ``nor``, where it is given.

        >>> phrases(Language.EN).listed(["a", "b", "c"], "nor")
        'a, b or c'
        """
        comma = self("comma")
        if last is None or len(words) < 2:
            return comma.join(words)
        return f"{comma.join(words[:-1])} {self(last)} {words[-1]}"

    def either(self, words: Sequence[str]) -> str:
        """Grades of which one is right.

        >>> phrases(Language.EN).either(["III", "IV"])
        'III or IV'
        """
        return alternatives(words, either=self("or"), until=self("to"))

    def isolated(self, text: str) -> str:
        """Text in which every run of Latin letters and numbers goes from the left, in a language that does not.

        >>> phrases(Language.AR).isolated("L4/L5: 88 %.").encode("unicode_escape")
        b'\\\\u2066L4/L5: 88 %\\\\u2069.'
        """
        if self("direction") != "rtl":
            return text
        return LATIN.sub("\u2066\\g<0>\u2069", text)

    def number(self, text: str) -> str:
        """A number as written in this language."""
        return text.replace(".", self("decimal"))


def sentence(words: str) -> str:
    """Words as a sentence.

    >>> sentence("no disc herniation")
    'No disc herniation.'
    """
    return f"{words[:1].upper()}{words[1:]}."
