"""Elements of DICOM data sets as plain values: the one place where damaged bytes meet pydicom.

pydicom decodes an element when it is asked for, and raises whatever its decoders do. Here that becomes a ReadError that
keeps its cause.
"""

import functools
import math
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spinenet.errors import ReadError
from spinenet.readers.archives import ImageFiles
from spinenet.readers.dicom.limits import MAX_VALUE_BYTES, check_bytes

Value = str | int | float | tuple[Any, ...]
"""What an element holds: text, a number, or several of them."""


def damage() -> tuple[type[Exception], ...]:
    """What pydicom and its decoders raise on damaged bytes (found by fuzzing). For ``except damage():``."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    plain = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RuntimeError, AssertionError)
    outside = (OSError, EOFError, MemoryError, struct.error, zlib.error, zipfile.BadZipFile)
    return (*plain, *outside, BytesLengthException, InvalidDicomError)


def read_dataset(path: Path, images: ImageFiles, keywords: Sequence[str] | None = None) -> Any:
    """The data set of a file, with ``keywords`` only those elements and no pixels; ReadError where it is damaged."""
    from pydicom import dcmread

    try:
        with images.open(path) as file:
            check_bytes(file)
            start = file.read(132)
            file.seek(0)
            bare = start[128:] != b"DICM" and start[:2] in (b"\x02\x00", b"\x08\x00")
            return dcmread(
                file,
                force=bare,
                stop_before_pixels=keywords is not None,
                specific_tags=list(keywords) if keywords else None,
            )
    except damage() as error:
        raise ReadError("the file is damaged or cut short") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom's remarks on odd values off the user's screen; what matters becomes a note."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Memory:
    """What was worked out for one header and holds for the next: tags by keyword, values by their bytes.

    The slices of a series have most of their header in common; half of the time of a large tree.
    """

    def __init__(self) -> None:
        self.tag = functools.cache(_tag)
        self.converted = functools.lru_cache(maxsize=4096)(_converted)


class Header:
    """The elements of a data set, or of an item of a sequence in it. Its methods raise ReadError on damaged bytes."""

    def __init__(self, dataset: Any, memory: Memory) -> None:
        self._dataset, self._memory = dataset, memory

    def value(self, keyword: str) -> Value | None:
        """What is held under a keyword, None where nothing is."""
        try:
            return self._value(keyword)
        except damage() as error:
            raise ReadError(f"the header is damaged at {keyword}") from error

    def count(self, keyword: str) -> int:
        """Number of items of a sequence, 0 where there is none."""
        try:
            return len(self._items(keyword))
        except damage() as error:
            raise ReadError(f"the header is damaged at {keyword}") from error

    def nested(self, keyword: str, index: int) -> "list[Header]":
        """The first items of all sequences that lie in item ``index`` of a sequence; none where it has no such item."""
        try:
            group = self._items(keyword)[index : index + 1]
            found = [element.value[0] for item in group for element in item if element.VR == "SQ" and element.value]
        except damage() as error:
            raise ReadError(f"the header is damaged at {keyword}") from error
        return [Header(item, self._memory) for item in found]

    def _value(self, keyword: str) -> Value | None:
        element = self._dataset.get_item(self._memory.tag(keyword))
        if element is None or (element.is_raw and len(element.value or b"") > MAX_VALUE_BYTES):
            return None
        if not element.is_raw or element.VR in ("SQ", None) or element.value is None:
            return _plain(self._dataset.get(keyword))
        charset = self._dataset.original_character_set
        hashable = charset if isinstance(charset, str) else tuple(charset or ())
        return self._memory.converted(element._replace(value_tell=0), hashable)

    def _items(self, keyword: str) -> Any:
        from pydicom.sequence import Sequence as Items

        value = self._dataset.get(keyword)
        return value if isinstance(value, Items) else []


def layers(header: Header, index: int) -> list[Header]:
    """What describes frame ``index``, the most specific first."""
    own, shared = header.nested("PerFrameFunctionalGroupsSequence", index), "SharedFunctionalGroupsSequence"
    return [*own, *header.nested(shared, 0), header]


def first_value(described: Sequence[Header], *keywords: str) -> Value | None:
    """First value that is there, looked up keyword by keyword through the layers; None where there is none."""
    for keyword in keywords:
        for header in described:
            value = header.value(keyword)
            if value is not None and value != "":
                return value
    return None


def number(value: Value | None) -> float | None:
    """A finite float, the first of several, or None.

    >>> number("3.5"), number(("7", "8")), number("x"), number(None)
    (3.5, 7.0, None, None)
    """
    values = numbers(value)
    return values[0] if values else None


def numbers(value: Value | None) -> tuple[float, ...]:
    """The finite floats in a value that may be one, many, or text; empty where one of them is not a number."""
    if value is None or value == "":
        return ()
    if isinstance(value, str):  # unsplit, as under VR UT, or with decimal commas
        value = tuple(value.replace(",", ".").split("\\"))
    several = value if isinstance(value, tuple) else (value,)
    try:
        floats = tuple(float(item) for item in several)
    except (ValueError, TypeError, OverflowError):
        return ()
    return floats if all(map(math.isfinite, floats)) else ()


def _converted(raw: Any, charset: str | tuple[str, ...]) -> Value | None:
    from pydicom.dataelem import convert_raw_data_element

    encoding = list(charset) if isinstance(charset, tuple) else charset
    return _plain(convert_raw_data_element(raw, encoding=encoding).value)


def _plain(value: Any) -> Value | None:
    """Text, numbers and tuples of them; None for anything else, such as bytes under a tag that holds text."""
    from pydicom.multival import MultiValue
    from pydicom.valuerep import PersonName

    if isinstance(value, MultiValue | list | tuple):
        return tuple(_plain(item) for item in value)
    if isinstance(value, PersonName):
        return str(value)
    return value if isinstance(value, str | int | float) else None


def _tag(keyword: str) -> Any:
    from pydicom.datadict import tag_for_keyword
    from pydicom.tag import BaseTag

    return BaseTag(tag_for_keyword(keyword) or 0)
