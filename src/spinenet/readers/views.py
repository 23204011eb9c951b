"""Which view a series is: the plane from its geometry, the weighting from physics first and from names second.

Times are judged by what lumbar protocols from 0.2 to 3 T use: T1 has short TR and TE, T2 a long TE, STIR an inversion
time that nulls fat at the field strength. Gradient echoes, diffusion, localisers, single shots, images after contrast
agent or of another body part are no view of ours: they get None and a reason.
"""

import re
from dataclasses import dataclass, replace

from spinenet.labels import View
from spinenet.readers.name_words import FAT, OPPOSED, WATER, dixon_part, says_contrast, says_fat_dark
from spinenet.readers.sources import Acquisition
from spinenet.readers.vocabulary import plain_text
from spinenet.study import Basis

T1_MAX_TR_MS, T1_MAX_TE_MS = 1300.0, 40.0
T2_MIN_TR_MS, T2_MIN_TE_MS = 900.0, 55.0
STIR_TI_MS = (80.0, 320.0)
"""At any field strength from 0.2 to 3 T."""
STIR_TI_OF_NULL = (0.5, 1.7)
"""Shortest and longest inversion time of a STIR as multiples of the one that nulls fat."""
T1_FLAIR_TI_MS = (500.0, 1300.0)
T1_FLAIR_MAX_TE_MS, T1_FLAIR_MAX_TR_MS = 25.0, 3000.0
MYELOGRAPHY_TE_MS = 400.0
SINGLE_SHOT_ECHOES = 100
"""A two-dimensional image with so long an echo train is taken in one shot: a localiser or a myelography."""

_MIN_TE_MS, _MAX_TE_MS, _MIN_TR_MS, _MAX_TR_MS = 3.0, 1000.0, 100.0, 30_000.0
"""Times of spin echoes lie between these whatever their weighting."""

_T = r"(?:(?<![a-z0-9])|(?<=sag)|(?<=ax)|(?<=axial)|(?<=tra)|(?<=cor)|(?<=tse)|(?<=fse)|(?<=se))"
_PROTON_DENSITY = re.compile(r"(?<![a-z])(dp|pd|proton)w?(?![a-z])")
_STIR = re.compile(
    r"(?<![a-z])(?:sag|ax|tra|cor)?(?:stir|tirm|turbo ?ir|tir2d\w*)|short tau|inversion[ -]recuper|inversion[ -]recover"
)
_T1 = re.compile(_T + r"t1(?![0-9])")
_T2 = re.compile(_T + r"t2(?![0-9])")
_OTHER_BODY_PART = re.compile(
    r"cervi|servik|szyj|c[ -]?spine|t[ -]?spine|thorac|torac|torak|sacro ?ili"
    r"|(?<![a-z])(hws|bws|brain|head|neck|skull|knee|hip|shoulder|ankle|wrist|breast|cerebr\w*|crane|isg|sij)(?![a-z])"
)
_LUMBAR = re.compile(r"lumb|lomb|ledzw|lws|(?<![a-z])l[ -]?spine|(?<![a-z])ls(?![a-z])|rachis l")

_NOT_USED = (
    (re.compile(r"localiz|localis|localit|lokali|scout|survey|(?<![a-z])(loc|topo|reperage)(?![a-z])"), "a localiser"),
    (re.compile(r"diffusion|(?<![a-z])(dwi|dti|adc|trace|epi|ep2d)(?![a-z])"), "diffusion imaging"),
    (re.compile(r"t2 ?(\*|star)|(?<![a-z])(medic|merge|swi|gre|fiesta|ciss|trufi|ffe)(?![a-z])"), "a gradient echo"),
    (re.compile(r"myelo|(?<![a-z])(mip|projection|mosaic|subtraction|t[12] map)(?![a-z])"), "a computed picture"),
    (re.compile(r"(?<![a-z])(subtr\w*|sub(?= (t[12]|sag|ax|tra|post|dyn))|difference)(?![a-z])"), "a computed picture"),
    (re.compile(r"(?<![a-z])(phase (image|map|contrast)|fat ?frac\w*|pdff)(?![a-z])"), "a computed picture"),
)

_COMPUTED = frozenset({"SUB", "SUBTRACT", "STDDEV", "MEAN", "RATIO", "RELATIVE_ENHANCEMENT", "T1_MAP", "T2_MAP"})
"""What vendors write into ImageType of pictures that were computed from others."""
_DIXON_UNUSED = {FAT: "a picture of fat alone", OPPOSED: "a picture out of phase"}
_VIEWS = {
    ("sagittal", "T1"): View.SAGITTAL_T1,
    ("sagittal", "T2"): View.SAGITTAL_T2,
    ("sagittal", "STIR"): View.SAGITTAL_STIR,
    ("axial", "T2"): View.AXIAL_T2,
}
PLANE_OF_VIEW = {view: plane for (plane, _), view in _VIEWS.items()}


@dataclass(frozen=True)
class Decision:
    """The view of a series or None, one sentence that says why, and what it was decided by."""

    view: View | None
    reason: str
    basis: Basis


def decide_view(plane: str, acquisition: Acquisition) -> Decision:
    """Which view a series lying in ``plane`` is.

    >>> decide_view("sagittal", Acquisition(tr_ms=600, te_ms=12)).reason
    'Sagittal by orientation, T1 by TR 600 ms and TE 12 ms.'
    >>> decide_view("coronal", Acquisition(description="t2 cor")).reason
    'Coronal by orientation, T2 by name: not a view that is used.'
    """
    said = f"{plane.capitalize()} by orientation"
    wanted = acquisition.wanted
    if wanted:
        if PLANE_OF_VIEW[wanted] != plane:
            return Decision(None, f"{said}, so it cannot be {wanted} as asked for: not used.", Basis.EXCLUDED)
        return Decision(wanted, f"{said}, {wanted} as asked for.", Basis.USER)
    acquisition, text = in_milliseconds(acquisition), plain_text(acquisition.description)
    unwanted = _unwanted(text, acquisition)
    if unwanted:
        return Decision(None, f"{said}, but {unwanted}: not used.", Basis.EXCLUDED)
    weighting, why, basis = _weighting(text, acquisition)
    if weighting is None:
        return Decision(None, f"{said}; weighting unknown: {why}.", basis)
    view = _VIEWS.get((plane, weighting))
    if view is None:
        return Decision(None, f"{said}, {weighting} by {why}: not a view that is used.", Basis.EXCLUDED)
    return Decision(view, f"{said}, {weighting} by {why}.", basis)


def _unwanted(text: str, acquisition: Acquisition) -> str:
    """Why the image is none that is graded, or an empty string."""
    if acquisition.burnt_in:
        return "with text burnt into it by its header, which may name the patient"
    if by_type := _computed_by_type(acquisition.image_type):
        return by_type
    searched = f"{text} {plain_text(acquisition.image_type)}"
    for pattern, what in _NOT_USED:
        if pattern.search(searched):
            return f"{what} by its name or type"
    body = f"{text} {plain_text(acquisition.body_part)}"
    if _OTHER_BODY_PART.search(body) and not _LUMBAR.search(body):
        return "of another body part by its header or name"
    told = says_contrast(text)
    if told or (told is None and acquisition.contrast_agent):
        return "after contrast agent by its header or name"
    if dixon_part(text, acquisition.image_type) in _DIXON_UNUSED:
        return _DIXON_UNUSED[dixon_part(text, acquisition.image_type)]
    return _unwanted_sequence(acquisition)


def _computed_by_type(image_type: str) -> str:
    """Why an image of that ImageType is computed from others, or an empty string."""
    if _COMPUTED & set(image_type.upper().split()):
        return "a computed picture by its type"
    is_phase = re.search(r"(?<!in )(?<!out )(?<!op )(?<!opp )(?<!opposed )phase", plain_text(image_type))
    return "a picture of phases by its type" if is_phase else ""


def _unwanted_sequence(acquisition: Acquisition) -> str:
    codes = acquisition.sequence.upper().split()
    if "GR" in codes and "SE" not in codes:
        return "a gradient echo by its sequence"
    if "EP" in codes:
        return "echo planar by its sequence"
    if acquisition.tr_ms and acquisition.tr_ms < _MIN_TR_MS:
        return f"repeated too fast for a spin echo (TR {acquisition.tr_ms:.0f} ms)"
    if acquisition.te_ms and acquisition.te_ms > MYELOGRAPHY_TE_MS:
        return f"so heavily weighted (TE {acquisition.te_ms:.0f} ms) that it shows water alone"
    if (acquisition.echo_train or 0) >= SINGLE_SHOT_ECHOES and "3D" not in codes:
        return f"a single shot by its {acquisition.echo_train} echoes"
    if acquisition.ti_ms and acquisition.ti_ms > T1_FLAIR_TI_MS[1]:
        return f"an inversion recovery that darkens fluid (TI {acquisition.ti_ms:.0f} ms)"
    return ""


def _weighting(text: str, acquisition: Acquisition) -> tuple[str | None, str, Basis]:
    """``T1``, ``T2`` or ``STIR``, what told so, and the basis where it is a view that is used.

    Fat-suppressed T2 counts as STIR, fat-suppressed T1 as nothing. Without physics and name it is UNDECIDED.
    """
    timed, why = _by_times(acquisition)
    named = _by_name(f"{text} {plain_text(acquisition.sequence)}")
    weighting, basis = timed or named, Basis.PHYSICS if timed else Basis.NAME
    if weighting is None:
        open_to_image = not (acquisition.tr_ms and acquisition.te_ms) and not _PROTON_DENSITY.search(text)
        return None, why, Basis.UNDECIDED if open_to_image else Basis.EXCLUDED
    if not timed:
        why = "name"
    is_water = dixon_part(text, acquisition.image_type) == WATER
    fat_dark = (
        acquisition.fat_suppressed or is_water or says_fat_dark(text) or "FS" in acquisition.sequence.upper().split()
    )
    if weighting == "T2" and named == "STIR":
        return "STIR", f"name, with {why}" if timed else why, basis
    if weighting == "T2" and fat_dark:
        return "STIR", f"{why} with fat suppressed (T2 without fat is read as STIR)", basis
    if weighting == "T1" and fat_dark:
        return None, "T1 with fat suppressed looks unlike T1", Basis.EXCLUDED
    if named and timed and named != timed:
        why += f" (its name says {named})"
    return weighting, why, basis


def _by_times(acquisition: Acquisition) -> tuple[str | None, str]:
    tr, te, ti = acquisition.tr_ms, acquisition.te_ms, acquisition.ti_ms
    said = " and ".join(f"{name} {value:.0f} ms" for name, value in (("TR", tr), ("TE", te)) if value)
    if ti and nulls_fat(ti, acquisition.field_t):
        return "STIR", f"TI {ti:.0f} ms"
    if not te:
        return None, "the file gives no echo time and no telling name"
    if ti and te <= T1_MAX_TE_MS and T1_FLAIR_TI_MS[0] <= ti <= T1_FLAIR_TI_MS[1]:
        return "T1", f"TI {ti:.0f} ms and TE {te:.0f} ms"
    if tr and tr <= T1_MAX_TR_MS and te <= T1_MAX_TE_MS:
        return "T1", said
    if "IR" in acquisition.sequence.upper().split() and (tr is None or tr > T1_MAX_TR_MS) and not ti:
        could_be_t1 = te <= T1_FLAIR_MAX_TE_MS and (tr is None or tr <= T1_FLAIR_MAX_TR_MS)
        return (None, f"an inversion recovery with {said}") if could_be_t1 else ("STIR", f"inversion and {said}")
    if te >= T2_MIN_TE_MS and (tr is None or tr >= T2_MIN_TR_MS):
        return "T2", said
    return None, f"{said} fit neither T1, T2 nor STIR"


def in_milliseconds(acquisition: Acquisition) -> Acquisition:
    """The same with times a thousand times as long or short where they make sense only so: they were in s, or were
    taken for s and were not.

    >>> in_milliseconds(Acquisition(tr_ms=3.5, te_ms=0.1)).tr_ms, in_milliseconds(Acquisition(te_ms=90_000)).te_ms
    (3500.0, 90.0)
    >>> in_milliseconds(Acquisition(tr_ms=8, te_ms=2.5)).tr_ms  # a fast gradient echo
    8
    """
    tr, te, ti = acquisition.tr_ms, acquisition.te_ms, acquisition.ti_ms
    if not te or (_make_sense(tr, te) and not (te < _MIN_TE_MS and tr is None)):
        return acquisition
    for factor in (1000.0, 0.001):
        if te * factor >= _MIN_TE_MS and _make_sense(tr and tr * factor, te * factor):
            return replace(acquisition, te_ms=te * factor, tr_ms=tr and tr * factor, ti_ms=ti and ti * factor)
    return acquisition


def _make_sense(tr_ms: float | None, te_ms: float) -> bool:
    return te_ms <= _MAX_TE_MS and (tr_ms is None or _MIN_TR_MS <= tr_ms <= _MAX_TR_MS)


def nulls_fat(ti_ms: float, field_t: float | None) -> bool:
    """Whether an inversion time is that of a STIR; where the field strength is known, that of a STIR there.

    The T1 of vertebral fat is about 290 ms at 1.5 T and 365 ms at 3 T (de Bazelaire et al. 2004), a power of the field
    strength that is taken to hold below too; the null lies at ln 2 of it, with real TR somewhat earlier.

    >>> nulls_fat(160, 1.5), nulls_fat(100, 0.3), nulls_fat(100, 3.0)
    (True, True, False)
    """
    if field_t is None or not 0.1 <= field_t <= 8.0:
        return STIR_TI_MS[0] <= ti_ms <= STIR_TI_MS[1]
    null_ms = 0.69 * 265.0 * field_t**0.28
    return STIR_TI_OF_NULL[0] * null_ms <= ti_ms <= STIR_TI_OF_NULL[1] * null_ms


def _by_name(text: str) -> str | None:
    if _STIR.search(text):
        return "STIR"
    is_t1, is_t2 = bool(_T1.search(text)), bool(_T2.search(text))
    if is_t1 == is_t2 or _PROTON_DENSITY.search(text):
        return None
    return "T1" if is_t1 else "T2"
