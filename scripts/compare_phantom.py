"""Axial T2 slices of phantoms beside those of patients: grey values, sizes, sharpness, and can they be told apart?

python scripts/compare_phantom.py --sudirman PICTURES --studies 24 [--sheet SHEET.png]

Patients are Sudirman's single slices; where the back of the disc lies in each is in notebooks/data/sudirman_axial.csv.
The sheet shows patients: keep it where the data is kept.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import map_coordinates

from spinephantom import make_study
from spinephantom.likeness import COLUMNS_MM, ROWS_MM, U_MM, V_MM, disc_crops, figures, on_scale

PIXEL_MM = 220.0 / 320.0
"""Of Sudirman's axial pictures: 320 pixels over 220 mm."""
BLOCK = 5
"""Pixels of a crop that are averaged for the classifier, each way: 2.5 mm."""
Crops = list[tuple[str, NDArray[np.float32]]]
"""Patient or study, and crop."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sudirman", type=Path, required=True, help="folder of Sudirman's pictures")
    parser.add_argument("--marks", type=Path, default=Path("notebooks/data/sudirman_axial.csv"))
    parser.add_argument("--studies", type=int, default=24)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--mode", default="rsna")
    parser.add_argument("--sheet", type=Path, help="picture of phantoms above patients")
    return parser.parse_args()


def patients(folder: Path, marks: Path) -> tuple[Crops, Crops]:
    """Crops of L5/S1 and of the discs above, from where a picture's disc is marked."""
    lowest: Crops = []
    others: Crops = []
    for row in csv.DictReader(marks.open()):
        pixels = np.array(Image.open(folder / f"{row['picture']}.png").convert("L"), np.float32)
        at = np.meshgrid(float(row["row"]) + V_MM / PIXEL_MM, float(row["column"]) + U_MM / PIXEL_MM, indexing="ij")
        crop = on_scale(map_coordinates(pixels, at, order=1, mode="nearest"))
        (lowest if row["lowest"] == "1" else others).append((row["picture"], crop))
    return lowest, others


def phantoms(first_seed: int, studies: int, mode: str) -> tuple[Crops, Crops]:
    """Crops of L5/S1 and of L2/L3 to L4/L5, the levels that the patients' slices show."""
    lowest: Crops = []
    others: Crops = []
    for seed in range(first_seed, first_seed + studies):
        study = make_study(seed, mode=mode, size=96, slices=3, axial_size=0)
        for level, crop in disc_crops(study).items():
            if level != "L1/L2":
                (lowest if level == "L5/S1" else others).append((str(seed), crop))
    return lowest, others


def describe(name: str, crops: Crops) -> None:
    found = [figures(crop) for _, crop in crops]
    print(f"{name}: {len(found)} slices")
    print(f"{'mm behind / beside':>20}" + "".join(f"{u:7.0f}" for u in COLUMNS_MM))
    for (low, high), row in zip(ROWS_MM, np.mean([one.table for one in found], axis=0), strict=True):
        print(f"{f'{low:.0f} to {high:.0f}':>20}" + "".join(f"{value:7.2f}" for value in row))
    for key in found[0].numbers():
        low, middle, high = np.percentile([one.numbers()[key] for one in found], [10, 50, 90])
        print(f"{key:>20}{middle:7.3f}  [{low:.3f}, {high:.3f}]")


def told_apart(real: Crops, made: Crops) -> dict[str, float]:
    """Area under the curve of classifiers that tell phantoms from patients, patients and studies in one fold each."""
    from sklearn.decomposition import PCA
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    crops = [crop for _, crop in (*real, *made)]
    label = np.repeat([0, 1], [len(real), len(made)])
    groups = [f"{kind} {name}" for kind, part in (("real", real), ("made", made)) for name, _ in part]
    blocks = np.array([_blocks(crop) for crop in crops])
    summary = np.array([list(figures(crop).numbers().values()) for crop in crops])
    forest = ExtraTreesClassifier(400, random_state=0, class_weight="balanced")
    line = make_pipeline(StandardScaler(), PCA(15, random_state=0), LogisticRegression(class_weight="balanced"))
    folds = StratifiedGroupKFold(7, shuffle=True, random_state=0)
    found = {}
    for name, model, features in (
        ("logistic, pixels", line, blocks),
        ("forest, pixels", forest, blocks),
        ("forest, figures", forest, summary),
    ):
        score = cross_val_predict(model, features, label, groups=groups, cv=folds, method="predict_proba")[:, 1]
        found[name] = float(roc_auc_score(label, score))
    return found


def _blocks(crop_VU: NDArray[np.float32]) -> NDArray[np.float32]:
    rows, cols = (size // BLOCK for size in crop_VU.shape)
    cut = crop_VU[: rows * BLOCK, : cols * BLOCK].reshape(rows, BLOCK, cols, BLOCK)
    return cut.mean(axis=(1, 3)).ravel()


def save_sheet(crops: Crops, path: Path, columns: int = 8) -> None:
    tiles = [(np.clip(crop, 0.0, 1.0) * 255.0).astype(np.uint8) for _, crop in crops]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
    picture = Image.fromarray(np.vstack(rows))
    picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.BICUBIC).save(path)


def main() -> None:
    options = arguments()
    real, made = (
        patients(options.sudirman, options.marks),
        phantoms(options.first_seed, options.studies, options.mode),
    )
    for level, ours, theirs in zip(("L5/S1", "above L5/S1"), made, real, strict=True):
        describe(f"patients, {level}", theirs)
        describe(f"phantoms, {level}", ours)
    for name, auc in told_apart(real[1], made[1]).items():
        print(f"told apart above L5/S1, {name}: AUC {auc:.2f}")
    if options.sheet:
        save_sheet([*made[1][:40], *real[1]], options.sheet)


if __name__ == "__main__":
    main()
