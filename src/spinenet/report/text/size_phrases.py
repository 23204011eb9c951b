"""What was measured, in the words of the report text: a narrow canal, a disc's height, a slip."""

import numpy as np

from spinenet.checking.measured_findings import HEIGHT_MEASURED, NARROWING, measured_sides
from spinenet.locating.measuring.quantities import MEYERDING, QUANTITY
from spinenet.locating.measuring.usual import ABOVE, BELOW
from spinenet.report.narrow_canal import DEPTH, LIMITS, NarrowCanal, NarrowSize, UnmeasuredCanal
from spinenet.report.text.language import Phrases
from spinenet.study import Measurement, StudyResult

FEWEST_OTHERS = 2
"""A height is compared with so many other discs at least."""
LEAST_SLIP_MM = 2.0
"""A slip measured below this does not say its direction."""


def canal_size(size: NarrowSize, words: Phrases, *, roomy_sac: bool = False) -> str:
    """A size that is narrow and no grade says, with its error and the other levels'; or that the dural sac, which is
    not, says otherwise."""
    sizes = {"value": size.value, "error": size.error_95, "others": size.others}
    told = {name: _written(size.name, value, words) for name, value in sizes.items() if value is not None}
    kind = "depth" if size.name == DEPTH else "sac"
    text = words(f"{kind}_told" if size.others is None else f"{kind}_compared", **told)
    if roomy_sac:
        return words("depth_opposed", size=text)
    tier = words.of("tier", "very" if size.is_very else "narrow")
    if size.by_half:
        return words("narrow_by_half", size=text, tier=tier)
    limit = words.of("limit", kind, value=f"{LIMITS[size.name][size.is_very]:.0f}")
    return words("narrow_size", size=text, tier=tier, limit=limit)


def measured_finding(source: NarrowCanal | UnmeasuredCanal | Measurement, words: Phrases) -> str:
    """A finding that was measured and not graded, or could not be measured, in as few words as it has."""
    if isinstance(source, UnmeasuredCanal):
        return words("canal_unmeasured_brief")
    if isinstance(source, NarrowCanal):
        sizes = [_size_brief(one, words) for one in source.leading]
        return words("canal_very_brief" if source.is_very else "canal_brief", sizes=words.listed(sizes))
    error = "" if source.error_95 is None else f" (± {words.number(f'{source.error_95:.1f}')})"
    return words("slip_brief", value=slip_written(source, words), error=error)


def _size_brief(size: NarrowSize, words: Phrases) -> str:
    """A size with its error, in as few words as it has."""
    told = {
        name: _written(size.name, value, words) for name, value in (("value", size.value), ("error", size.error_95))
    }
    text = words("depth_brief" if size.name == DEPTH else "sac_brief", **told)
    return words("half_brief", size=text) if size.by_half else text


def _written(name: str, value: float, words: Phrases) -> str:
    return words.number(QUANTITY[name].written(value))


def height_details(level: str, words: Phrases, result: StudyResult) -> list[str]:
    """A disc's height beside what the rule on heights sees: its percentile where that is known, else other discs."""
    measured = measured_at(result, level, HEIGHT_MEASURED)
    if measured is None:
        return []
    value = words.number(f"{measured.value:.1f}")
    if measured.percentile is not None:
        against = measured_sides(NARROWING, result.measurements).get(level, 0) < 0
        place = _placed(measured.percentile, words)
        return [words("height_not_lower" if against else "height_placed", value=value, place=place)]
    others = [one.value for one in result.measurements if one.name == HEIGHT_MEASURED and one.level != level]
    if len(others) < FEWEST_OTHERS:
        return [words("height", value=value)]
    median = float(np.median(others))
    return [words("height_compared", value=value, others=words.number(f"{median:.1f}"))]


def _placed(percentile: int, words: Phrases) -> str:
    if percentile in (BELOW, ABOVE):
        return words("placed_below" if percentile == BELOW else "placed_above")
    return words("placed", place=percentile)


def slip_details(level: str, words: Phrases, result: StudyResult) -> list[str]:
    slip, share = measured_at(result, level, "slip_mm"), value_at(result, level, "slip_percent")
    grade = value_at(result, level, f"{MEYERDING}_grade")
    if slip is None or abs(slip.value) < LEAST_SLIP_MM:
        return []
    value = words.number(f"{abs(slip.value):.1f}")
    if share is None or not grade:
        return [words("slip_coarse" if slip.error_95 is None else "slip", value=value)]
    numeral = ("I", "II", "III", "IV", "V")[min(int(grade), 5) - 1]
    return [words("slip_share", value=value, share=f"{abs(share):.0f}", grade=numeral)]


def slip_written(slip: Measurement, words: Phrases) -> str:
    """The size of a slip, after a sign for "about" where the locator alone gave it."""
    return words.number(f"{abs(slip.value):.1f}" if slip.series else f"≈ {abs(slip.value):.1f}")


def value_at(result: StudyResult, level: str, name: str) -> float | None:
    measured = measured_at(result, level, name)
    return None if measured is None else measured.value


def measured_at(result: StudyResult, level: str, name: str) -> Measurement | None:
    return next((one for one in result.measurements if one.level == level and one.name == name), None)
