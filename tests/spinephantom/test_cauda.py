"""Roots and rootlets: where they run, how they crowd, and how much of a pixel they fill."""

import numpy as np
import pytest

from spinephantom.patient.pathology import LUMBAR_DISCS, N_DISCS, DiscState
from spinephantom.patient.person import sample_person
from spinephantom.shapes.frames import Array
from spinephantom.shapes.planes import Grid
from spinephantom.shapes.tubes import tube_coverage
from spinephantom.spine.anatomy import build_spine
from spinephantom.spine.cauda import fluid_lost, make_strands, open_room, strand_area_mm2, strand_points
from spinephantom.spine.records import Spine
from spinephantom.spine.sac import sac_distances

TIGHT = {"flavum_mm_lr": (8.0, 8.0), "bulge_mm": 4.0}


def spine_of(**state: object) -> Spine:
    states = [DiscState() for _ in range(N_DISCS)]
    states[1] = DiscState(**state)  # type: ignore[arg-type]
    return build_spine(sample_person(np.random.default_rng(3)), tuple(states))


def strands_at(spine: Spine, index: int) -> Array:
    """Where the strands of the cauda equina cross the plane of a disc, in its frame (N, 2)."""
    room = open_room(spine, tuple(spine.walls(k) for k in range(LUMBAR_DISCS)))
    frame = spine.discs[index].frame
    places = []
    for strand in make_strands(np.random.default_rng(0)):
        local = frame.local(strand_points(spine, strand, room))
        if len(local) and np.abs(local[:, 2]).min() < 0.5:
            places.append(local[np.abs(local[:, 2]).argmin(), :2])
    return np.array(places)


def axial_grid(spine: Spine, index: int, spacing_mm: float) -> Grid:
    disc = spine.discs[index]
    axes = disc.frame.axes
    corner = disc.frame.world((-15.0, disc.recess.center_v - 15.0, 0.0))
    size = int(30.0 / spacing_mm)
    return Grid(corner, axes[:, 2], spacing_mm * axes[:, 1], spacing_mm * axes[:, 0], np.array([0.0, 4.0]), size, size)


def test_strands_lie_in_the_back_of_a_wide_sac_and_fill_a_narrow_one() -> None:
    wide, narrow = spine_of(), spine_of(**TIGHT)
    center = wide.discs[1].recess.center_v
    free, packed = strands_at(wide, 1), strands_at(narrow, 1)
    assert (free[:, 1] > center - 1.0).mean() > 0.7
    assert np.ptp(packed[:, 0]) < np.ptp(free[:, 0])
    assert (packed[:, 1] > center - 1.0).mean() < (free[:, 1] > center - 1.0).mean()


def test_no_fluid_is_left_where_the_sac_is_closed_in_on_and_all_of_it_elsewhere() -> None:
    for state, expected in (({}, 0.0), (TIGHT, 1.0)):
        spine = spine_of(**state)
        room = open_room(spine, tuple(spine.walls(k) for k in range(LUMBAR_DISCS)))
        lost = fluid_lost(spine, room)
        heights = [disc.frame.moved(v=disc.recess.center_v).center_mm[2] for disc in spine.discs[:LUMBAR_DISCS]]
        at_discs = np.interp(heights, room.z_mm, lost)
        assert at_discs[1] == pytest.approx(expected, abs=0.05)
        assert np.delete(at_discs, 1) == pytest.approx(0.0, abs=0.05)
        assert np.interp(heights[1] + 20.0, room.z_mm, lost) == 0.0


@pytest.mark.parametrize("state", [{}, TIGHT])
def test_strands_stay_inside_the_open_sac(state: dict) -> None:
    spine = spine_of(**state)
    places = strands_at(spine, 1)
    points = spine.discs[1].frame.world(np.column_stack([places, np.zeros(len(places))]))
    inside = sac_distances(tuple(points.T.astype(np.float32)), spine.canal)[1] < 0.3
    walls = np.min([part.at(points) for part in spine.walls(1)], axis=0)
    assert inside.mean() > 0.97 and (walls > -0.7).mean() > 0.85


def test_fewer_strands_are_left_further_down() -> None:
    areas = [strand_area_mm2(index) for index in range(LUMBAR_DISCS)]
    assert areas == sorted(areas) and 10.0 < areas[0] < areas[-1] < 70.0


def test_a_root_passes_the_disc_above_medial_to_its_pedicle_and_leaves_under_it() -> None:
    spine = spine_of()
    for index in range(LUMBAR_DISCS):
        body, root = spine.vertebrae[index], spine.roots[index + 1][0]
        frame = body.frame
        local = frame.local(root.points_mm)
        offset, width, tall, up = body.pedicle
        beside = local[np.abs(local[:, 2] - up).argmin()]
        below = local[np.abs(local[:, 0] - offset).argmin()]
        assert beside[0] < offset - 0.5 * width
        assert up - 0.5 * tall - 10.0 < below[2] < up - 0.5 * tall - 2.0
        assert local[-1, 1] < beside[1] and local[-1, 0] > body.half_width


def test_a_tube_across_a_plane_fills_its_section() -> None:
    spine = spine_of()
    grid = axial_grid(spine, 1, 0.25)
    frame = spine.discs[1].frame
    line = frame.world([(0.0, spine.discs[1].recess.center_v, w) for w in np.arange(-6.0, 6.0, 0.25)])
    cover = tube_coverage(grid.whole(), line, np.full(len(line), 2.0))
    assert cover[0].sum() * 0.25**2 == pytest.approx(np.pi * 4.0, rel=0.06)


def test_a_thin_tube_that_lies_in_a_slice_fills_part_of_its_thickness() -> None:
    spine = spine_of()
    grid = axial_grid(spine, 1, 0.25)
    center = spine.discs[1].recess.center_v
    line = spine.discs[1].frame.world([(u, center, 0.0) for u in np.arange(-9.0, 9.0, 0.25)])
    cover = tube_coverage(grid.whole(), line, np.full(len(line), 0.6))
    assert cover[0].max() == pytest.approx(1.57 * 0.6 / 4.0, rel=0.05)
    assert cover[1].max() == 0.0
