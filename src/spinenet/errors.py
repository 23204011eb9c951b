"""Errors a user may be shown: one line that says what, where and what to do."""

from collections.abc import Sequence


class SpinenetError(Exception):
    """Base of every error with a message fit for a user; everything else is a fault of ours."""


class ReadError(SpinenetError):
    """A file or folder could not be turned into image series."""


class StudyError(SpinenetError):
    """A study was read but cannot be graded: wrong plane or body part, too few levels, sacrum not in view."""


class BundleError(SpinenetError):
    """A model bundle is missing, altered, or of another label space."""


class DatasetError(SpinenetError):
    """A training data set does not have the layout or the values it should have."""


class ConfigError(SpinenetError):
    """A configuration has a wrong key, type or value."""


class OutputError(SpinenetError):
    """An output folder holds something that these results cannot be added to, or a result is not one of ours."""


class PredictionsError(SpinenetError):
    """A table of predictions does not have the columns, keys or values that an evaluation needs."""


class ClusterError(SpinenetError):
    """A cluster cannot be used."""


class NodeError(SpinenetError):
    """A DICOM node cannot be started, or another one cannot be reached."""


def in_words(error: BaseException) -> str:
    """What went wrong, as it may stand in a line that names the file already: without numbers of the system.

    >>> in_words(FileNotFoundError(2, "No such file or directory", "grades.csv"))
    'no such file or directory'
    """
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(f"{said[:1].lower()}{said[1:]}".split()) or type(error).__name__


def other_separator(columns: Sequence[str]) -> str:
    """What to do of a table whose header was taken for one column: spreadsheets of many languages write ``;``.

    >>> other_separator(["study;level"])
    "; its columns are parted by ';': save it with commas between them and points in numbers"
    >>> other_separator(["study", "level"])
    ''
    """
    parts = {";": "';'", "\t": "tabs", "|": "'|'"}
    found = [words for mark, words in parts.items() if len(columns) == 1 and mark in columns[0]]
    return (
        f"; its columns are parted by {found[0]}: save it with commas between them and points in numbers"
        if found
        else ""
    )
