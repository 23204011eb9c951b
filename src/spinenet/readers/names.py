"""What file and folder names tell: which files belong to one study, and a key that is safe as a folder name.

Files of one folder are one study where their names differ only in closing words that name a view (``17_t1``,
``17_t2_SPACE``, ``17-sag-stir``) or, after BIDS, in everything but subject and session. Any other file is a study of
its own: a wrong split costs a row in a table, a wrong merge would mix two patients.
"""

import re
from collections.abc import Iterable
from pathlib import Path

_SUFFIX = re.compile(r"\.(nii\.gz|nii|mha|mhd)$", re.IGNORECASE)
_BIDS = re.compile(r"(?P<study>sub-[^_]+(_ses-[^_]+)?)_(?P<series>.+)")
_WEIGHTINGS = frozenset(["t1", "t2", "t1w", "t2w", "stir", "tirm", "pd", "pdw"])
_PLANES = frozenset(["sag", "sagittal", "ax", "axial", "tra", "trans", "transverse", "transversal", "cor", "coronal"])
_DETAILS = frozenset(["space", "tse", "fse", "se", "fs", "spair", "spir", "dixon", "w", "2d", "3d", "iso"])
_DIXON = frozenset(["dixon", "mdixon", "flex", "ideal", "wfi"])
_DIXON_PARTS = frozenset(
    ["f", "fat", "w", "water", "in", "ip", "inphase", "op", "opp", "out", "outphase", "opposed", "phase"]
)
_NO_IMAGE = frozenset(
    ["seg", "dseg", "mask", "masks", "msk", "label", "labels", "labeled", "labelled", "dlabel", "probseg", "pred"]
    + ["prediction", "predictions", "segmentation", "segmentations", "totalspineseg", "softseg", "csfseg", "lesionseg"]
    + ["gmseg", "wmseg", "discseg", "annotation", "annotations", "roi"]
)
_PLAIN = frozenset(
    ["sub", "ses", "acq", "run", "chunk", "case", "study", "patient", "pat", "subject", "sample", "phantom", "series"]
    + ["scan", "mr", "mri", "lumbar", "spine", "lspine", "lws", "image", "images", "img", "site", "broken"]
    + ["anat", "nifti", "nii", "dicom", "dcm"]
)
"""What else names of studies and series are made of that tell nobody's name."""
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names that Windows keeps for devices."""
_SPIDER = re.compile(r"\d+_(t1|t2|t2_SPACE)")
_SEPARATORS = re.compile(r"[_\-. ]+")


def stem_of(path: Path) -> str:
    """File name without the ending of its format.

    >>> stem_of(Path("a/17_t2.nii.gz"))
    '17_t2'
    """
    return _SUFFIX.sub("", path.name)


def is_volume(path: Path) -> bool:
    """Whether the ending is one of NIfTI or MetaImage."""
    return bool(_SUFFIX.search(path.name))


def is_segmentation(path: Path) -> bool:
    """Whether a word behind the view in the name, or its last one, says that the file holds labels, not grey values.

    >>> is_segmentation(Path("sub-01_T2w_dseg.nii.gz")), is_segmentation(Path("mask_17_t2.mha"))
    (True, False)
    >>> is_segmentation(Path("sub-4_acq-sag_T2w_seg-manual.nii.gz"))
    True
    """
    words = [word for word in _SEPARATORS.split(stem_of(path).lower()) if word]
    views = [index for index, word in enumerate(words) if word in _WEIGHTINGS | _PLANES]
    behind = words[views[0] + 1 :] if views else []
    return bool(_NO_IMAGE & {*behind, *words[-1:]})


def is_spider(path: Path) -> bool:
    """Whether the name follows SPIDER's ``<patient>_<t1|t2|t2_SPACE>.mha``, whose sides are not verified."""
    return path.suffix == ".mha" and bool(_SPIDER.fullmatch(stem_of(path)))


def split_name(stem: str) -> tuple[str, str]:
    """(study, series) that a file name tells: no series where it names no view, no study where it names only that.

    >>> split_name("17_t2_SPACE"), split_name("sub-01_ses-2_acq-sag_T2w")
    (('17', 't2_SPACE'), ('sub-01_ses-2', 'acq-sag_T2w'))
    >>> split_name("T1"), split_name("t2_lumbar")
    (('', 'T1'), ('t2_lumbar', ''))
    >>> split_name("17_t2_dixon_sag_opp"), split_name("17_t2_opp")
    (('17', 't2_dixon_sag_opp'), ('17_t2_opp', ''))
    """
    bids = _BIDS.fullmatch(stem)
    if bids:
        return bids["study"], bids["series"]
    start, words = len(stem), set()
    found = list(re.finditer(r"[^_\-. ]+", stem))
    parts = _DIXON_PARTS if _DIXON & {word[0].lower() for word in found} else frozenset()
    for word in reversed(found):
        if word[0].lower() not in _WEIGHTINGS | _PLANES | _DETAILS | _DIXON | parts:
            break
        start = word.start()
        words.add(word[0].lower())
    if not words & (_WEIGHTINGS | _PLANES):
        return stem, ""
    return stem[:start].rstrip("_-. "), stem[start:]


def is_plain(text: str) -> bool:
    """Whether a name tells nothing of a person: words for images and numbers too short for a patient's.

    >>> is_plain("sub-01_ses-2"), is_plain("17"), is_plain("Doe_John"), is_plain("4711815")
    (True, True, False, False)
    """
    words = [word for word in _SEPARATORS.split(text.lower()) if word]
    known = _WEIGHTINGS | _PLANES | _DETAILS | _DIXON | _DIXON_PARTS | _PLAIN
    return all(word in known or re.fullmatch(r"[a-z]?\d{1,4}[a-z]?|[a-z]", word) for word in words)


def safe_key(parts: Iterable[str]) -> str:
    """Parts of a path as one name for files and folders: letters, digits, ``. _ -``.

    >>> safe_key(["site a", "17"])
    'site_a-17'
    """
    joined = "-".join(part for part in parts if part)
    key = re.sub(r"[^\w.-]+", "_", joined).strip(".").lstrip("-")[:120] or "study"
    return f"study-{key}" if _RESERVED.fullmatch(key) else key


def shown(path: Path) -> str:
    """File name as it may stand in a one-line message: its folders, which may name a patient, and odd characters gone.

    >>> shown(Path("Doe/17_t2\\n.mha"))
    '17_t2?.mha'
    """
    return printable(path.name or str(path))


def printable(text: str) -> str:
    """Text on one line, what cannot be printed as question marks."""
    return "".join(character if character.isprintable() else "?" for character in text)


def unique(names: Iterable[str]) -> list[str]:
    """The names in order, later ones that repeat an earlier one with ``-2``, ``-3``, ... (letter case does not differ).

    >>> unique(["a", "b", "a", "A"])
    ['a', 'b', 'a-2', 'A-3']
    """
    taken: set[str] = set()
    result = []
    for name in names:
        candidate, count = name, 1
        while candidate.lower() in taken:
            count += 1
            candidate = f"{name}-{count}"
        taken.add(candidate.lower())
        result.append(candidate)
    return result
