"""Strong artefacts of a slice, each as one figure: copies of the image (ghosts), a line across it (zipper), and blur.

None needs to know which axis was phase encoded: both axes of the slice are looked at and the worse one counts.
Distances and widths were chosen by hand on SPIDER's 349 series and on phantoms, into which artefacts were put; limits
are learnt from real series, and how well they tell artefacts is in notebooks/EXPERIMENTS.md (2026-11-21).
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from spinenet.checking.quality import region
from spinenet.study import LocatedSeries

Floats = NDArray[np.float64]
Image = NDArray[np.float32]

COPY_MM = 15.0
"""A copy displaced by less than this cannot be told from the anatomy's own edges."""
BAND_PER_MM = (0.02, 0.4)
"""Spatial frequencies in which copies are looked for: below is shading, above noise."""
RINGING_MM = 8.0
"""What rings on to both sides of a distance is where the scanner's k-space ended, not a copy."""
_LINES = 96
"""Lines of a slice that are looked at for copies; more cost time and change little."""
HALF_WIDTH = 3
"""A zipper line stands out from the lines so many pixels beside it."""
_PARTS = 8
"""A zipper goes all the way: what is missing in two of so many parts of the line is anatomy, such as the skin."""
FINE_MM, COARSE_MM = 1.2, 3.0
"""Grey values change less over the first distance than over the second; blur lessens the first alone."""
ACROSS = 0.06
"""By so much less sharp (decimal logarithm) are columns than rows in a spine without artefact, because of how its
discs lie: the median of 349 series of SPIDER, and of phantoms."""
QUANTILE = 0.995
"""Share of real series whose figure lies below its limit; with three figures a clean series is seldom flagged."""
FLOOR = np.array([0.12, 0.02, 0.10])
"""What is weaker misleads nobody, however clean the series that limits are learnt from."""
ARTEFACTS = {
    "ghost": "displaced copies of the image lie over it, together {:.0%} as strong: ghosts of motion or flow?",
    "zipper": "a line of interference crosses it, {:.0%} of the spine's grey values high",
    "blur": "it is blurred along one axis alone: did the patient move?",
}


def artefact_figures(located: LocatedSeries) -> Floats:
    """ARTEFACTS of the slice in which levels were found, (3,), the larger the worse: strength of the copies at one
    distance (both sides together) as a share of the image, height of the strongest line as a share of the spine's grey
    values, and by how much more than usual one axis is blurred than the other (decimal logarithm)."""
    slice_RC = located.series.voxels_SRC[located.midline_slice]
    dark, bright, *_ = (float(value) for value in located.reference)
    pixel_mm = located.series.spacing_mm[1:]
    seen_RC = _without_padding(slice_RC)
    region_RC = np.clip(region(located), dark, bright)
    worst = [
        max(_copy(np.moveaxis(seen_RC, axis, 1), float(pixel_mm[axis])) for axis in (0, 1)),
        max(_line(np.moveaxis(seen_RC, axis, 0), bright - dark) for axis in (0, 1)),
        abs(_blur(region_RC, float(pixel_mm[0])) - _blur(region_RC.T, float(pixel_mm[1])) - ACROSS),
    ]
    return np.array(worst)


def limits_of(figures_NA: Floats) -> tuple[float, ...]:
    """Limits of ARTEFACTS from the figures of real series, (N, 3)."""
    return tuple(float(limit) for limit in np.maximum(np.quantile(figures_NA, QUANTILE, axis=0), FLOOR))


def artefacts_of(located: LocatedSeries, limits: Sequence[float]) -> Iterator[str]:
    """In words, what lies beyond its limit in a series; nothing where ``limits`` are not known."""
    if not limits:
        return
    for words, figure, limit in zip(ARTEFACTS.values(), artefact_figures(located), limits, strict=True):
        if figure > limit:
            yield words.format(figure)


def _without_padding(slice_RC: Image) -> Image:
    """The part of a slice that is not black at its sides, its brightest hundredth cut off."""
    coarse = slice_RC[::4, ::4]
    bright, brightest = np.percentile(coarse, [98, 99])
    filled = coarse > 0.02 * bright
    (rows,), (columns,) = (np.nonzero(filled.mean(axis=axis) > 0.1) for axis in (1, 0))
    if not (rows.size and columns.size):
        return slice_RC
    seen_RC = slice_RC[4 * rows[0] : 4 * rows[-1] + 4, 4 * columns[0] : 4 * columns[-1] + 4]
    return np.minimum(seen_RC, np.float32(brightest))


def _copy(lines_LN: Image, pixel_mm: float) -> float:
    """Strength of displaced copies along the lines, those to both sides together, about 0 without any.

    A copy of strength g at distance d multiplies the spectrum by 1 + g exp(2 pi i f d): the logarithm of the power
    ripples along f, and its own spectrum (the power cepstrum, Bogert 1963) peaks at d with height g.
    """
    from scipy.ndimage import maximum_filter1d

    lines_LN = lines_LN[:: max(len(lines_LN) // _LINES, 1)]
    n = lines_LN.shape[1]
    first, end = int(COPY_MM / pixel_mm), n // 2
    size = fft.next_fast_len(n, real=True)
    f = fft.rfftfreq(size, pixel_mm)
    band = (f > BAND_PER_MM[0]) & (f < BAND_PER_MM[1])
    if first >= end or band.sum() < 8:
        return 0.0
    even_LN = (lines_LN - lines_LN.mean(axis=1, keepdims=True)) * _taper(n)
    spectrum = fft.rfft(even_LN, size, axis=1)[:, band]
    power = spectrum.real**2 + spectrum.imag**2
    ripple = np.log(power + 1e-3 * power.mean(axis=0) + np.finfo(np.float32).tiny).mean(axis=0)
    # fades at both ends of the band, so that the spectrum's own fall does not leak into the distances looked at
    weight = np.sin(np.pi * (f[band] - BAND_PER_MM[0]) / (BAND_PER_MM[1] - BAND_PER_MM[0])) ** 2
    whole = np.zeros(len(f))
    whole[band] = weight * (ripple - np.average(ripple, weights=weight))
    cepstrum = fft.irfft(whole, size) * size / (2 * weight.sum())
    level = maximum_filter1d(np.abs(cepstrum[:end]), int(RINGING_MM / pixel_mm) | 1)
    away = int(1.5 * RINGING_MM / pixel_mm)
    beside = np.minimum(np.roll(level, away), np.roll(level, -away))
    return float((cepstrum[:end] - beside)[first : max(end - away, first + 1)].max())


def _taper(n: int) -> Image:
    """Fades the ends of a line of n pixels, so that they make no edge."""
    ends = np.minimum(np.arange(n), np.arange(n)[::-1]) + 0.5
    return (0.5 - 0.5 * np.cos(np.pi * np.minimum(ends / (0.15 * n), 1))).astype(np.float32)


def _line(lines_LN: Image, scale: float) -> float:
    """How far the most prominent line stands out from those beside it, as a share of ``scale``."""
    lines, n = lines_LN.shape
    if lines <= 4 * HALF_WIDTH or n < 2 * _PARTS:
        return 0.0
    mean_LP = lines_LN[:, : n - n % _PARTS].reshape(lines, _PARTS, -1)[:, :, ::2].mean(axis=2)
    beside_LP = np.maximum(mean_LP[: -2 * HALF_WIDTH], mean_LP[2 * HALF_WIDTH :])
    above_LP = np.sort(mean_LP[HALF_WIDTH:-HALF_WIDTH] - beside_LP, axis=1)
    edge = lines // 30
    return float(above_LP[edge : len(above_LP) - edge, 1].max()) / scale


def _blur(lines_LN: Image, pixel_mm: float) -> float:
    """How much more grey values change from line to line over COARSE_MM than over FINE_MM."""
    fine, coarse = (_change(lines_LN, distance / pixel_mm) for distance in (FINE_MM, COARSE_MM))
    return float(np.log10((coarse + 1e-12) / (fine + 1e-12)))


def _change(lines_LN: Image, distance: float) -> float:
    """Mean squared change over so many pixels, linear between whole ones; 0 where the image is smaller."""
    whole = int(distance)
    part = distance - whole
    n = len(lines_LN) - whole - 1
    if n < 1:
        return 0.0
    far = (1 - part) * lines_LN[whole : whole + n] + part * lines_LN[whole + 1 : whole + 1 + n]
    return float(np.mean(np.square(far - lines_LN[:n])))
