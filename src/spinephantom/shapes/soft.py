"""Elementary shapes over whole arrays of pixels: those of ``shapes`` in one pass where numba is installed."""

from collections.abc import Callable
from typing import Any

import numpy as np

from spinephantom.shapes import distances as shapes
from spinephantom.shapes.kernels import compiled, specialised

F32 = Any
sdf: Callable[..., Any]
"""Stands in a loop for the function that it is compiled for."""


def smoothstep(x: F32, low: float, high: float) -> F32:
    """As shapes.smoothstep."""
    return _one(shapes.smoothstep, x, low, high)


def covered(distance_mm: F32, pixel_mm: float) -> F32:
    """As shapes.covered."""
    return _one(shapes.covered, distance_mm, pixel_mm)


def smax(a: F32, b: F32, k: float) -> F32:
    """As shapes.smax."""
    return _two(shapes.smax, a, b, k)


def smin(a: F32, b: F32, k: float) -> F32:
    """As shapes.smin."""
    return _two(shapes.smin, a, b, k)


def superellipse(u: F32, v: F32, half_u: float, half_v: float) -> F32:
    """As shapes.superellipse."""
    return _two(shapes.superellipse, u, v, half_u, half_v)


def _one(function: Callable[..., Any], x: F32, *numbers: float) -> F32:
    if not compiled() or not np.ndim(x) or any(np.ndim(number) for number in numbers):
        return function(x, *numbers)
    x = np.ascontiguousarray(x, np.float32)
    out = np.empty_like(x)
    specialised(_one_loop, function)(out.reshape(-1), x.reshape(-1), tuple(np.float32(n) for n in numbers))
    return out


def _two(function: Callable[..., Any], a: F32, b: F32, *numbers: float) -> F32:
    if not compiled() or np.shape(a) != np.shape(b):
        return function(a, b, *numbers)
    a, b = np.ascontiguousarray(a, np.float32), np.ascontiguousarray(b, np.float32)
    out = np.empty_like(a)
    flat = (part.reshape(-1) for part in (out, a, b))
    specialised(_two_loop, function)(*flat, tuple(np.float32(n) for n in numbers))
    return out


def _one_loop(out: F32, x: F32, numbers: Any) -> None:
    for i in range(len(out)):
        out[i] = sdf(x[i], *numbers)  # noqa: F821


def _two_loop(out: F32, a: F32, b: F32, numbers: Any) -> None:
    for i in range(len(out)):
        out[i] = sdf(a[i], b[i], *numbers)  # noqa: F821
