"""A folder in SPIDER's layout with as little in it as can be read."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spinephantom.write.spider_files import write_mha

HEADER = (
    "Patient,IVD label,Modic,UP endplate,LOW endplate,Spondylolisthesis,"
    "Disc herniation,Disc narrowing,Disc bulging,Pfirrman grade"
)
AFFINE = np.array([[4.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])


@pytest.fixture
def spider(tmp_path: Path) -> Callable[..., Path]:
    """``spider(*rows, images=(...), masks=(...))``: the folder with these gradings; names as in ``17_t2``."""

    def make(
        *rows: str,
        images: tuple[str, ...] = ("1_t1", "1_t2"),
        masks: tuple[str, ...] | None = None,
        header: str = HEADER,
    ) -> Path:
        voxels = (np.arange(3 * 60 * 50) % 251).astype(np.uint8).reshape(3, 60, 50)
        for folder, names in (("images", images), ("masks", images if masks is None else masks)):
            (tmp_path / folder).mkdir()
            for name in names:
                write_mha(tmp_path / folder / f"{name}.mha", voxels, AFFINE, "PIR")
        (tmp_path / "radiological_gradings.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return tmp_path

    return make
