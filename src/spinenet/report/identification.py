"""Who was examined and when, as people write it: for outputs that were asked to name the patient, and no others."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from spinenet.errors import OutputError
from spinenet.study import Origin
from spinenet.system.files import write_private


@dataclass(frozen=True)
class Identification:
    """The patient and the examination of one study. Dates are ISO 8601 where the header holds a date, else as it has
    them; ``place`` is where its images lie; what is not known is ""."""

    name: str = ""
    patient_id: str = ""
    birth_date: str = ""
    sex: str = ""
    date: str = ""
    accession: str = ""
    place: str = ""

    @property
    def parts(self) -> tuple[tuple[str, str], ...]:
        """(heading, value) of what is known, in the order it is read in."""
        told = (
            ("Patient", self.name or "without a name"),
            ("born", self.birth_date),
            ("sex", self.sex),
            ("id", self.patient_id or "none"),
            ("examined", self.date),
            ("accession", self.accession),
        )
        return tuple((heading, value) for heading, value in told if value)


def identification_of(origin: Origin | None, place: str = "") -> Identification:
    """What a study's header says; of one that did not come as DICOM nothing but its place."""
    if origin is None:
        return Identification(place=place)
    told: Mapping[str, str] = dict(origin.elements)
    return Identification(
        written_name(origin.patient_name),
        origin.patient_id,
        written_date(told.get("PatientBirthDate", "")),
        told.get("PatientSex", ""),
        written_date(told.get("StudyDate", "")),
        told.get("AccessionNumber", ""),
        place,
    )


def written_name(name: str) -> str:
    """A DICOM name (PS3.5, 6.2.1: family, given, middle, prefix, suffix; other scripts behind "=") as people write it.

    >>> written_name("Doe^Jane^^Dr"), written_name("Yamada^Tarou=山田^太郎"), written_name("DOE")
    ('Doe, Dr Jane', 'Yamada, Tarou (山田, 太郎)', 'DOE')
    """
    scripts = [words for group in str(name).split("=") if (words := _written_group(group))]
    return scripts[0] + "".join(f" ({words})" for words in scripts[1:]) if scripts else ""


def _written_group(group: str) -> str:
    family, given, middle, prefix, suffix = (*(part.strip() for part in group.split("^")), "", "", "", "", "")[:5]
    return ", ".join(filter(None, (family, " ".join(filter(None, (prefix, given, middle))), suffix)))


def written_date(date: str) -> str:
    """A DICOM date in ISO 8601; what is none stays as it is.

    >>> written_date("20261127"), written_date("2026"), written_date("")
    ('2026-11-27', '2026', '')
    """
    digits = str(date).replace(".", "")
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}" if len(digits) == 8 and digits.isdecimal() else str(date)


def write_identification(path: Path, identification: Identification) -> None:
    """Write who was examined beside the study's other files, for its owner alone."""
    write_private(path, json.dumps(asdict(identification), ensure_ascii=False, indent=1).encode())


def read_identification(path: Path) -> Identification | None:
    """What ``write_identification`` wrote; None where there is no such file."""
    if not path.exists():
        return None
    try:
        return Identification(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise OutputError(f"{path}: not a file of spinenet; predict the study again") from error
