"""Compiled or not, the same distances and the same images; a window found for a part misses nothing of it."""

import numpy as np
import pytest

from spinephantom import PhantomStudy, make_study
from spinephantom.paint.trunk import make_body
from spinephantom.scan.prescription import Coverage, plan_axial, plan_sagittal
from spinephantom.shapes import fields, kernels

pytest.importorskip("numba", reason="install the extra fast")


@pytest.fixture(scope="module")
def study() -> PhantomStudy:
    return make_study(6, axial=False, slices=1, sub_slices=1, size=64)


@pytest.mark.parametrize("plane", ["sagittal", "axial"])
def test_windows_hold_all_of_a_part_with_the_distances_of_its_function(study: PhantomStudy, plane: str) -> None:
    rng, spine = np.random.default_rng(1), study.spine
    coverage = Coverage(slices=11, size=160, axial_size=160)
    grids = (plan_sagittal(rng, spine, make_body(rng, spine), coverage),)
    grids = plan_axial(rng, spine, coverage)[0] if plane == "axial" else grids
    bones = [part for index in range(4) for part in spine.posterior(index)]
    parts = [*bones, *(disc.part for disc in spine.discs[:4]), *(body.part for body in spine.vertebrae[:4])]
    seen = 0
    for grid in grids:
        for part in parts:
            exact = np.broadcast_to(part.within(grid.whole()), grid.shape)
            x, y, z = (axis - c for axis, c in zip(grid.whole().world(), part.center_mm, strict=True))
            inside = (exact < 0.0) & (x * x + y * y + z * z < part.radius_mm**2)
            found = fields.near(part, grid)
            covered = np.zeros(grid.shape, bool)
            if found is not None:
                window, distance = found
                covered[window.index] = True
                close = distance < 1.0
                assert np.abs(distance - exact[window.index])[close].max(initial=0.0) < 1e-3
            assert not (inside & ~covered).any()
            seen += int(inside.sum())
    assert seen > 1000


def test_compiled_and_plain_images_agree_to_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"size": 128, "axial_size": 128, "slices": 3, "sub_slices": 1, "clean": True, "pixel": "uint16"}
    fast = make_study(8, **options)
    monkeypatch.setattr(kernels, "compiled", lambda: False)
    monkeypatch.setattr(fields, "compiled", lambda: False)
    plain = make_study(8, **options)
    for a, b in zip(fast.series, plain.series, strict=True):
        for one, other in zip(a.stacks, b.stacks, strict=True):
            differ = np.abs(one.series.voxels_SRC - other.series.voxels_SRC)
            assert (differ > 2.0).mean() < 3e-3
            assert (one.mask_SRC != other.mask_SRC).mean() < 1e-3
