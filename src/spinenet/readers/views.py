"""Which view a series is: the plane from its geometry, the weighting from physics first and from names second.

Times are judged by what lumbar protocols at 1.5 and 3 T use: T1 has short TR and TE, T2 a long TE, STIR an inversion
time that nulls fat (about 130 to 240 ms). Gradient echoes, diffusion, localisers, images after contrast agent or of
another body part are no view of ours: they get None and a reason.
"""

import re
import unicodedata

from spinenet.labels import View
from spinenet.readers.records import Acquisition

T1_MAX_TR_MS, T1_MAX_TE_MS = 1300.0, 40.0
T2_MIN_TR_MS, T2_MIN_TE_MS = 900.0, 55.0
STIR_TI_MS = (80.0, 320.0)
T1_FLAIR_TI_MS = (500.0, 1300.0)

_T = r"(?:(?<![a-z0-9])|(?<=sag)|(?<=ax)|(?<=axial)|(?<=tra)|(?<=cor)|(?<=tse)|(?<=fse)|(?<=se))"
_PROTON_DENSITY = re.compile(r"(?<![a-z])(dp|pd|proton)w?(?![a-z])")
_STIR = re.compile(r"(?<![a-z])(stir|tirm|turbo ?ir)|short tau|inversion[ -]recuper|inversion[ -]recover")
_T1 = re.compile(_T + r"t1(?![0-9])")
_T2 = re.compile(_T + r"t2(?![0-9])")
_FAT_DARK = re.compile(
    r"(?<![a-z])(fs|fat ?sat|spair|spir|dixon w|chem ?sat)(?![a-z])|fat[ -]?(sup|sat)|fett(ges|unter|sup|sat)"
    r"|(satur\w*|sup\w*)( de| di| da)?( la)? ?(gras|grais)|t[12]w?[ _-]?fs"
)
_OTHER_BODY_PART = re.compile(r"cervi|c[ -]?spine|(?<![a-z])(hws|brain|head|neck|skull|knee|hip|cerebr|crane)(?![a-z])")
_LUMBAR = re.compile(r"lumb|lomb|lws|(?<![a-z])l[ -]?spine|(?<![a-z])ls(?![a-z])|rachis l")

_NOT_USED = (
    (re.compile(r"localiz|localis|localit|lokali|scout|survey|(?<![a-z])(loc|topo|reperage)(?![a-z])"), "a localiser"),
    (re.compile(r"diffusion|(?<![a-z])(dwi|dti|adc|trace|epi|ep2d)(?![a-z])"), "diffusion imaging"),
    (re.compile(r"t2 ?(\*|star)|(?<![a-z])(medic|merge|swi|gre|fiesta|ciss|trufi|ffe)(?![a-z])"), "a gradient echo"),
    (re.compile(r"myelo|(?<![a-z])(mip|projection|(?<!in )phase|mosaic|subtraction)(?![a-z])"), "a computed picture"),
)
_CONTRAST = re.compile(r"(?<![a-z])(gad\w*|gd|km|post|contrast\w*|kontrast\w*|inject\w*|ce)(?![a-z])|\+ ?c(?![a-z])")
_PLAIN = re.compile(r"without|ohne|nativ|sans|sin |sem |(?<![a-z])(pre|non)(?![a-z])")

_VIEWS = {
    ("sagittal", "T1"): View.SAGITTAL_T1,
    ("sagittal", "T2"): View.SAGITTAL_T2,
    ("sagittal", "STIR"): View.SAGITTAL_STIR,
    ("axial", "T2"): View.AXIAL_T2,
}


def decide_view(plane: str, acquisition: Acquisition) -> tuple[View | None, str]:
    """View of a series lying in ``plane``, or None, with one sentence that says why.

    >>> decide_view("sagittal", Acquisition(tr_ms=600, te_ms=12))
    (<View.SAGITTAL_T1: 'sagittal_t1'>, 'Sagittal by orientation, T1 by TR 600 ms and TE 12 ms.')
    >>> decide_view("coronal", Acquisition(description="t2 cor"))
    (None, 'Coronal by orientation, T2 by name: not a view that is used.')
    """
    text = plain_text(acquisition.description)
    unwanted = _unwanted(text, acquisition)
    if unwanted:
        return None, f"{plane.capitalize()} by orientation, but {unwanted}: not used."
    weighting, why = _weighting(text, acquisition)
    if weighting is None:
        return None, f"{plane.capitalize()} by orientation; weighting unknown: {why}."
    view = _VIEWS.get((plane, weighting))
    end = "." if view else ": not a view that is used."
    return view, f"{plane.capitalize()} by orientation, {weighting} by {why}{end}"


def plain_text(text: str) -> str:
    """Lower case without accents, separators as single spaces, so that one pattern serves several languages.

    >>> plain_text("T2_TSE-Sag (Répérage)")
    't2 tse sag reperage '
    """
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.sub(r"[^a-z0-9*+]+", " ", bare.lower())


def _unwanted(text: str, acquisition: Acquisition) -> str:
    """Why the image is none that is graded, or an empty string."""
    searched = f"{text} {plain_text(acquisition.image_type)}"
    for pattern, what in _NOT_USED:
        if pattern.search(searched):
            return f"{what} by its name or type"
    body = f"{text} {plain_text(acquisition.body_part)}"
    if _OTHER_BODY_PART.search(body) and not _LUMBAR.search(body):
        return "of another body part by its header or name"
    if (acquisition.contrast_agent or _CONTRAST.search(text)) and not _PLAIN.search(text):
        return "after contrast agent by its header or name"
    if {"f", "fat"} & set(plain_text(acquisition.image_type).split()):
        return "a picture of fat alone by its type"
    codes = acquisition.sequence.upper().split()
    if "GR" in codes and "SE" not in codes:
        return "a gradient echo by its sequence"
    if "EP" in codes:
        return "echo planar by its sequence"
    return ""


def _weighting(text: str, acquisition: Acquisition) -> tuple[str | None, str]:
    """``T1``, ``T2`` or ``STIR`` and what told so; fat-suppressed T2 counts as STIR, fat-suppressed T1 as nothing."""
    weighting, why = _by_times(acquisition)
    named = _by_name(text)
    kinds = {*acquisition.sequence.upper().split(), *acquisition.image_type.upper().split()}
    fat_dark = bool(_FAT_DARK.search(text)) or bool(kinds & {"FS", "W", "WATER"})
    if weighting is None and named:
        weighting, why = named, "name"
    if weighting == "T2" and named == "STIR":
        return "STIR", f"name, with {why}" if why != "name" else why
    if weighting == "T2" and fat_dark:
        return "STIR", f"{why} with fat suppressed (T2 without fat is read as STIR)"
    if weighting == "T1" and fat_dark:
        return None, "T1 with fat suppressed looks unlike T1"
    if named and weighting and named != weighting and why != "name":
        why += f" (its name says {named})"
    return weighting, why


def _by_times(acquisition: Acquisition) -> tuple[str | None, str]:
    tr, te, ti = acquisition.tr_ms, acquisition.te_ms, acquisition.ti_ms
    codes = acquisition.sequence.upper().split()
    said = " and ".join(f"{name} {value:.0f} ms" for name, value in (("TR", tr), ("TE", te)) if value)
    if ti and STIR_TI_MS[0] <= ti <= STIR_TI_MS[1]:
        return "STIR", f"TI {ti:.0f} ms"
    if not te:
        return None, "the file gives no echo time and no telling name"
    if ti and te <= T1_MAX_TE_MS and T1_FLAIR_TI_MS[0] <= ti <= T1_FLAIR_TI_MS[1]:
        return "T1", f"TI {ti:.0f} ms and TE {te:.0f} ms"
    if tr and tr <= T1_MAX_TR_MS and te <= T1_MAX_TE_MS:
        return "T1", said
    if "IR" in codes and (tr is None or tr > T1_MAX_TR_MS) and not ti:
        return "STIR", f"an inversion recovery with {said}"
    if te >= T2_MIN_TE_MS and (tr is None or tr >= T2_MIN_TR_MS):
        return "T2", said
    return None, f"{said} fit neither T1, T2 nor STIR"


def _by_name(text: str) -> str | None:
    if _STIR.search(text):
        return "STIR"
    is_t1, is_t2 = bool(_T1.search(text)), bool(_T2.search(text))
    if is_t1 == is_t2 or _PROTON_DENSITY.search(text):
        return None
    return "T1" if is_t1 else "T2"
