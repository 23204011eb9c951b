"""Contact sheets of phantoms, alone or beside real images: to look at them side by side, again and again.

Example: python scripts/phantom_sheets.py --seeds 1 2 3 --out out/sheets
With real images (PNG, or MHA of which the middle slices are taken) the sheets must stay out of the repository:
         python scripts/phantom_sheets.py --seeds 1 2 3 --real path/to/images --out out/sheets
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spinenet.labels import LEVELS, View
from spinephantom import PhantomStudy, make_study

COLUMNS = 7


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--mode", default="balanced")
    parser.add_argument("--side", type=int, default=320, help="pixels of one picture")
    parser.add_argument("--real", type=Path, help="folder of PNG or MHA files to show below the phantoms")
    parser.add_argument("--real-step", type=int, default=9, help="show every n-th file")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


def pictures(study: PhantomStudy) -> list[NDArray[np.uint8]]:
    """T1 in the middle and through the foramina, T2 or STIR the same, then axial at L3/L4, L4/L5 and L5/S1."""
    found = []
    for item in study.series[:2]:
        voxels = item.series.voxels_SRC
        spacing = float(item.series.spacing_mm[0])
        middle = len(voxels) // 2
        found += [voxels[middle], voxels[max(middle - round(17.0 / spacing), 0)]]
    for level in ("L3/L4", "L4/L5", "L5/S1"):
        found.append(at_disc(study, level))
    return [one.astype(np.uint8) for one in found]


def at_disc(study: PhantomStudy, level: str) -> NDArray[np.float32]:
    """The axial slice nearest to the centre of a disc."""
    center_mm = study.spine.discs[LEVELS.index(level)].frame.center_mm
    best: tuple[float, NDArray[np.float32]] = (np.inf, np.zeros((8, 8), np.float32))
    for stack in (stack for item in study.series if item.view is View.AXIAL_T2 for stack in item.stacks):
        at = stack.series.to_vox(center_mm)[0]
        index = int(np.clip(round(at), 0, len(stack.series.voxels_SRC) - 1))
        if abs(at - index) < best[0]:
            best = (abs(at - index), stack.series.voxels_SRC[index])
    return best[1]


def real_pictures(folder: Path, step: int) -> list[NDArray[np.uint8]]:
    """PNG files as they are; of MHA files the middle slice of the shortest axis."""
    found = []
    for path in sorted([*folder.glob("*.png"), *folder.glob("*.mha")])[::step]:
        if path.suffix == ".png":
            found.append(np.array(Image.open(path).convert("L")))
            continue
        from spinenet.readers.mha import read_mha

        voxels = read_mha(path).voxels_SRC
        middle = voxels[len(voxels) // 2]
        high = float(np.quantile(middle, 0.995))
        found.append(np.clip(middle * (255.0 / max(high, 1e-6)), 0.0, 255.0).astype(np.uint8))
    return found


def sheet(found: list[NDArray[np.uint8]], side: int) -> Image.Image:
    """Pictures in rows of COLUMNS, each fitted into a square."""
    rows = -(-len(found) // COLUMNS)
    canvas = Image.new("L", (COLUMNS * side, rows * side))
    for index, pixels in enumerate(found):
        picture = Image.fromarray(pixels)
        picture.thumbnail((side, side)) if max(picture.size) > side else None
        scale = side / max(picture.size)
        picture = picture.resize(
            (round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BICUBIC
        )
        canvas.paste(picture, (index % COLUMNS * side, index // COLUMNS * side))
    return canvas


def main() -> None:
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    found = []
    for seed in options.seeds:
        found += pictures(make_study(seed, mode=options.mode))
    name = "phantoms.png"
    if options.real:
        found += real_pictures(options.real, options.real_step)
        name = "phantoms_and_real.png"
    sheet(found, options.side).save(options.out / name)
    print(options.out / name)


if __name__ == "__main__":
    main()
