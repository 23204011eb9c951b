"""The records between stages: where a voxel lies in the patient."""

import numpy as np

from spinenet.labels import View
from spinenet.study import Series

OBLIQUE = np.array([[3.9, 0.1, -0.2, -20.0], [0.3, 0.2, 0.7, 5.0], [0.2, -0.8, 0.1, 80.0], [0, 0, 0, 1.0]])
SERIES = Series("t2", np.zeros((5, 24, 20), np.float32), OBLIQUE, "sagittal", View.SAGITTAL_T2)


def test_a_voxel_has_one_place_in_the_patient_and_that_place_is_the_voxel():
    voxels = np.moveaxis(np.indices(SERIES.voxels_SRC.shape), 0, -1)
    places_mm = SERIES.to_mm(voxels)
    assert places_mm.shape == voxels.shape
    assert np.allclose(places_mm[2, 3, 4], OBLIQUE[:3] @ [2, 3, 4, 1])
    assert np.allclose(SERIES.to_vox(places_mm), voxels)


def test_spacing_is_that_of_slices_rows_and_columns():
    assert np.allclose(SERIES.spacing_mm, np.linalg.norm(OBLIQUE[:3, :3], axis=0))
