"""Loops over pixels that are compiled where numba is installed (extra ``fast``); NumPy does the same without it."""

import importlib.util
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

F32 = Any


@lru_cache(maxsize=1)
def compiled() -> bool:
    """Whether numba is there to compile with."""
    return importlib.util.find_spec("numba") is not None


def compile_loop(function: Callable[..., None]) -> Callable[..., None]:
    """The function compiled, kept on disc for the next process."""
    import numba

    loop: Callable[..., None] = numba.njit(cache=True, error_model="numpy", fastmath=True)(function)
    return loop


def cover(water: F32, fat: F32, alpha: F32, pools: F32, gain: F32 | float, change: F32 | float) -> None:
    """Cover images (series, planes, rows, columns) in place with a tissue by ``alpha``.

    ``pools`` (series, 3) holds water signal, fat signal and fat fraction; ``gain`` multiplies the signal and ``change``
    is added to the fraction. All but the images may broadcast.
    """
    if compiled():
        shape = water.shape[1:]
        spread = (np.broadcast_to(np.asarray(value, np.float32), shape) for value in (alpha, gain, change))
        _compiled_cover()(water, fat, pools, *spread)
        return
    for series, (water_signal, fat_signal, fraction) in enumerate(pools):
        share = np.clip(fraction + change, 0.0, 1.0)
        _blend(water[series], alpha, gain * ((1.0 - share) * water_signal))
        _blend(fat[series], alpha, gain * (share * fat_signal))


def _blend(view: F32, alpha: F32, value: F32 | float) -> None:
    view += alpha * (value - view)


@lru_cache(maxsize=1)
def _compiled_cover() -> Callable[..., None]:
    return compile_loop(_cover_loop)


def _cover_loop(water: F32, fat: F32, pools: F32, alpha: F32, gain: F32, change: F32) -> None:
    series, planes, rows, cols = water.shape
    for p in range(planes):
        for r in range(rows):
            for c in range(cols):
                a = alpha[p, r, c]
                if a <= 0.0:
                    continue
                for s in range(series):
                    share = min(max(pools[s, 2] + change[p, r, c], np.float32(0.0)), np.float32(1.0))
                    value = gain[p, r, c] * (np.float32(1.0) - share) * pools[s, 0]
                    water[s, p, r, c] += a * (value - water[s, p, r, c])
                    value = gain[p, r, c] * share * pools[s, 1]
                    fat[s, p, r, c] += a * (value - fat[s, p, r, c])
