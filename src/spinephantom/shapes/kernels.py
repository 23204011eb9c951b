"""Loops over pixels and points that are compiled where numba is installed (extra ``fast``); NumPy does the same."""

import hashlib
import importlib.util
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np

F32 = Any
sdf: Callable[..., Any]
"""Stands in a loop for the signed distance function that it is compiled for."""


@lru_cache(maxsize=1)
def compiled() -> bool:
    """Whether numba is there to compile with."""
    return importlib.util.find_spec("numba") is not None


def compile_loop(function: Callable[..., None], signature: Any = None) -> Callable[..., None]:
    """The function compiled, for one signature if it is given, and kept on disc for the next process."""
    import numba

    loop: Callable[..., None] = numba.njit(signature, cache=True, error_model="numpy", fastmath=True)(function)
    return loop


@lru_cache(maxsize=128)
def specialised(loop: Callable[..., None], distance: Callable[..., Any]) -> Callable[..., None]:
    """A loop over ``sdf`` compiled for one distance function, and kept on disc until the phantom's sources change."""
    from numba.extending import register_jitable

    pending, known = [distance], set()
    while pending:
        function = pending.pop()
        known.add(function)
        register_jitable(function)
        names = [function.__globals__.get(name) for name in function.__code__.co_names]
        own = (found for found in names if isinstance(found, FunctionType) and found.__module__.startswith(__package__))
        pending += [found for found in own if found not in known]
    name = f"{loop.__name__}_{distance.__name__}"
    kernel = FunctionType(loop.__code__, {**loop.__globals__, "sdf": distance}, name)
    kernel.__module__ = loop.__module__
    kernel.__qualname__ = f"{name}_{_version()}"
    return compile_loop(kernel)


@lru_cache(maxsize=1)
def _version() -> str:
    """Of the sources that are compiled: numba looks at one file only."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@lru_cache(maxsize=4096)
def plain(shape: Any) -> Any:
    """A record with every number a float, as one compiled version expects it."""
    if isinstance(shape, tuple):
        values = [plain(value) for value in shape]
        return type(shape)(*values) if hasattr(shape, "_fields") else tuple(values)
    return float(shape)


def distances_at(points: Any, distance: Callable[..., Any], shape: Any) -> F32:
    """A distance function at local points (..., 3)."""
    if not compiled():
        u, v, w = np.moveaxis(points.astype(np.float32), -1, 0)
        return np.asarray(distance(u, v, w, shape), np.float32)
    flat = np.ascontiguousarray(points.reshape(-1, 3), np.float32)
    out = np.empty(len(flat), np.float32)
    specialised(_points_loop, distance)(out, flat, plain(shape))
    return out.reshape(points.shape[:-1])


def _points_loop(out: F32, points: F32, shape: Any) -> None:
    for i in range(len(out)):
        out[i] = sdf(points[i, 0], points[i, 1], points[i, 2], shape)  # noqa: F821


def mark_inside(
    blocked: Any,
    points_mm: Any,
    place: tuple[Any, Any],
    ball: tuple[Any, float],
    distance: Callable[..., Any],
    shape: Any,
) -> None:
    """Set ``blocked`` (N,) in place where points (N, 3) lie inside a shape; what is set already is not looked at.

    ``place`` is the centre and the axes of the shape's frame, ``ball`` a centre and radius that hold all of it.
    """
    if compiled():
        center, radius = ball
        frame = (np.ascontiguousarray(place[0]), np.ascontiguousarray(place[1]))
        specialised(_inside_loop, distance)(blocked, points_mm, *frame, center, radius * radius, plain(shape))
        return
    free = np.flatnonzero(~blocked)
    u, v, w = ((points_mm[free] - place[0]) @ place[1]).astype(np.float32).T
    blocked[free] = distance(u, v, w, shape) < 0.0


def _inside_loop(blocked: Any, points: Any, origin: Any, axes: Any, center: Any, reach2: float, shape: Any) -> None:
    for i in range(len(blocked)):
        x, y, z = points[i, 0] - center[0], points[i, 1] - center[1], points[i, 2] - center[2]
        if blocked[i] or x * x + y * y + z * z > reach2:
            continue
        x, y, z = points[i, 0] - origin[0], points[i, 1] - origin[1], points[i, 2] - origin[2]
        u = np.float32(x * axes[0, 0] + y * axes[1, 0] + z * axes[2, 0])
        v = np.float32(x * axes[0, 1] + y * axes[1, 1] + z * axes[2, 1])
        w = np.float32(x * axes[0, 2] + y * axes[1, 2] + z * axes[2, 2])
        blocked[i] = sdf(u, v, w, shape) < 0.0  # noqa: F821


def cover(water: F32, fat: F32, alpha: F32, pools: F32, gain: F32 | float, change: F32 | float) -> None:
    """Cover images (series, planes, rows, columns) in place with a tissue by ``alpha``.

    ``pools`` (series, 3) holds water signal, fat signal and fat fraction; ``gain`` multiplies the signal and ``change``
    is added to the fraction. All but the images may broadcast.
    """
    if compiled():
        shape = water.shape[1:]
        _compiled_cover()(water, fat, pools, _spread(alpha, shape), _spread(gain, shape), _spread(change, shape))
        return
    for series, (water_signal, fat_signal, fraction) in enumerate(pools):
        share = np.clip(fraction + change, 0.0, 1.0)
        _blend(water[series], alpha, gain * ((1.0 - share) * water_signal))
        _blend(fat[series], alpha, gain * (share * fat_signal))


def _spread(value: F32 | float, shape: tuple[int, ...]) -> F32:
    """A value broadcast to a shape: np.broadcast_to, which takes longer than many a window needs to be painted."""
    if isinstance(value, np.ndarray) and value.ndim:
        value = np.asarray(value, np.float32)
        return value if value.shape == shape else np.broadcast_to(value, shape)
    return np.ndarray(shape, np.float32, np.array(value, np.float32), strides=(0,) * len(shape))


def _blend(view: F32, alpha: F32, value: F32 | float) -> None:
    view += alpha * (value - view)


@lru_cache(maxsize=1)
def _compiled_cover() -> Callable[..., None]:
    from numba import types

    # one version for arrays in whatever order, owned or not
    image, layer = types.Array(types.float32, 4, "A"), types.Array(types.float32, 3, "A", readonly=True)
    pools = types.Array(types.float32, 2, "C")
    return compile_loop(_cover_loop, types.void(image, image, pools, layer, layer, layer))


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


def gather(volume: Any, step: float, places: list[F32], shape: tuple[int, ...]) -> F32:
    """A periodic ``volume`` (N, N, N) of int16 in units of ``step``, N a power of two, at three arrays of places that
    broadcast to ``shape`` (planes, rows, columns). Places are in voxels, not negative; their decimals are cut off."""
    if not compiled():
        index = tuple(axis.astype(np.int32) % np.int32(len(volume)) for axis in places)
        return np.ascontiguousarray(np.broadcast_to(volume[index] * np.float32(step), shape))
    out = np.empty(shape, np.float32)
    _compiled_gather()(out, volume, np.float32(step), *(np.broadcast_to(axis, shape) for axis in places))
    return out


@lru_cache(maxsize=1)
def _compiled_gather() -> Callable[..., None]:
    from numba import types

    out, volume = types.Array(types.float32, 3, "C"), types.Array(types.int16, 3, "C")
    axis = types.Array(types.float32, 3, "A", readonly=True)
    return compile_loop(_gather_loop, types.void(out, volume, types.float32, axis, axis, axis))


def _gather_loop(out: F32, volume: Any, step: Any, x: F32, y: F32, z: F32) -> None:
    planes, rows, cols = out.shape
    last = np.uint32(len(volume) - 1)
    for p in range(planes):
        for r in range(rows):
            for c in range(cols):
                i, j, k = np.uint32(x[p, r, c]), np.uint32(y[p, r, c]), np.uint32(z[p, r, c])
                out[p, r, c] = step * volume[i & last, j & last, k & last]


@lru_cache(maxsize=1)
def _compiled_upscale() -> Callable[..., None]:
    from numba import types

    images = types.Array(types.float32, 3, "C")
    return compile_loop(_upscale_loop, types.void(images, images))


def upscale(images: F32, rows: int, cols: int) -> F32:
    """(..., rows, columns) from half as many by linear interpolation, compiled."""
    out = np.empty((*images.shape[:-2], rows, cols), np.float32)
    _compiled_upscale()(out.reshape(-1, rows, cols), np.ascontiguousarray(images).reshape(-1, *images.shape[-2:]))
    return out


def _upscale_loop(out: F32, images: F32) -> None:
    planes, rows, cols = out.shape
    last_row, last_col = images.shape[1] - 1, images.shape[2] - 1
    line = np.empty(images.shape[2], np.float32)
    for p in range(planes):
        for r in range(rows):
            near = r // 2
            far = min(max(near + 2 * (r % 2) - 1, 0), last_row)
            for c in range(len(line)):
                line[c] = np.float32(0.75) * images[p, near, c] + np.float32(0.25) * images[p, far, c]
            for c in range(cols):
                k = c // 2
                out[p, r, c] = (
                    np.float32(0.75) * line[k] + np.float32(0.25) * line[min(max(k + 2 * (c % 2) - 1, 0), last_col)]
                )


def stamp(image: F32, place: Any, radius: Any, weight: Any) -> None:
    """Soft discs set into an image (rows, columns) in place; where they meet the stronger one stays.

    ``place`` (N, 2) and ``radius`` (N,) in pixels, ``weight`` (N,) is the value inside.
    """
    if compiled():
        _compiled_stamp()(image, *(np.ascontiguousarray(part, np.float32) for part in (place, radius, weight)))
        return
    half = int(np.ceil(float(radius.max()) + 0.5))
    grid = np.arange(-half, half + 1)
    rows = np.round(place[:, 0]).astype(int)[:, None, None] + grid[None, :, None]
    cols = np.round(place[:, 1]).astype(int)[:, None, None] + grid[None, None, :]
    distance = np.hypot(rows - place[:, 0, None, None], cols - place[:, 1, None, None])
    alpha = np.clip(0.5 + radius[:, None, None] - distance, 0.0, 1.0) * weight[:, None, None]
    rows, cols = np.broadcast_arrays(rows, cols)
    inside = (alpha > 0.0) & (rows >= 0) & (rows < image.shape[0]) & (cols >= 0) & (cols < image.shape[1])
    np.maximum.at(image, (rows[inside], cols[inside]), alpha[inside].astype(np.float32))


@lru_cache(maxsize=1)
def _compiled_stamp() -> Callable[..., None]:
    from numba import types

    image, line = types.Array(types.float32, 2, "A"), types.Array(types.float32, 1, "C")
    return compile_loop(_stamp_loop, types.void(image, types.Array(types.float32, 2, "C"), line, line))


def _stamp_loop(image: F32, place: F32, radius: F32, weight: F32) -> None:
    for i in range(len(radius)):
        y, x, reach = place[i, 0], place[i, 1], radius[i] + np.float32(0.5)
        for r in range(max(int(np.ceil(y - reach)), 0), min(int(np.floor(y + reach)) + 1, image.shape[0])):
            for c in range(max(int(np.ceil(x - reach)), 0), min(int(np.floor(x + reach)) + 1, image.shape[1])):
                left = reach - np.sqrt((r - y) ** 2 + (c - x) ** 2)
                image[r, c] = max(image[r, c], min(max(left, np.float32(0.0)), np.float32(1.0)) * weight[i])
