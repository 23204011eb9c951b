"""What notebooks read: predictions with everything beside them, kept in a folder, so that no image is needed again.

FOLDER/predictions.csv.gz  the contract's table with ``truth``
FOLDER/raters.csv.gz       grades of single raters: rater, study, level, target, grade
FOLDER/cases.csv           what is known of each study: vendor, field strength, sex, age, second series
FOLDER/slices.npz          the slices of a few instructive discs, ``study|level`` -> (S, H, W) uint8
"""

import gzip
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinenet.checking.quality import figures_of
from spinenet.datasets import LabelledStudy, load_dataset
from spinenet.datasets.masks import locate_all
from spinenet.errors import DatasetError, PredictionsError
from spinenet.evaluate.collection.collect import collect, to_frame
from spinenet.evaluate.experiments.description import example_discs
from spinenet.evaluate.samples import load_predictions
from spinenet.labels import LEVELS, TARGETS, UNKNOWN, View
from spinenet.model.bundle import Bundle, load_bundle
from spinenet.predict import predict_study
from spinenet.readers import read_study
from spinenet.study import LevelCrop
from spinenet.system.files import replacing, write_bytes, write_text

PREDICTIONS, RATERS, CASES, SLICES = "predictions.csv.gz", "raters.csv.gz", "cases.csv", "slices.npz"
CALLED_ONCE = "readers.csv.gz"
"""The raters' table, as folders called it before the word was changed."""
SLICES_SHOWN = 3


@dataclass(frozen=True)
class SavedPredictions:
    """A folder of saved predictions; ``raters``, ``cases`` are None and ``slices`` empty where it has none."""

    predictions: pd.DataFrame
    raters: pd.DataFrame | None
    cases: pd.DataFrame | None
    slices: dict[tuple[str, str], NDArray[np.uint8]]


def load_saved(folder: Path) -> SavedPredictions:
    """Read a folder written by ``save_phantom_test``, or any with a predictions.csv(.gz); raises PredictionsError."""
    from spinenet.evaluate.raters import load_raters
    from spinenet.evaluate.subgroups import load_cases

    if (folder / CALLED_ONCE).exists():
        raise PredictionsError(f"{folder}: {CALLED_ONCE} is {RATERS} now, and its column reader is rater; rename both")
    slices = {}
    if (folder / SLICES).exists():
        with np.load(folder / SLICES) as archive:
            slices = {_disc(key): archive[key] for key in archive.files}
    return SavedPredictions(
        predictions=load_predictions(folder),
        raters=load_raters(folder / RATERS) if (folder / RATERS).exists() else None,
        cases=load_cases(folder / CASES) if (folder / CASES).exists() else None,
        slices=slices,
    )


def _disc(key: str) -> tuple[str, str]:
    study, level = key.split("|")
    return study, level


def save_phantom_test(
    studies: Sequence[LabelledStudy],
    truth_folder: Path,
    bundle: Bundle,
    folder: Path,
    on_study: Callable[[LabelledStudy], None] = lambda study: None,
) -> None:
    """Predict phantoms and save predictions with exact truth, simulated raters, cases and instructive slices."""
    if not studies:
        raise DatasetError(f"{truth_folder}: no phantom to predict; make some with scripts/make_phantom.py")
    frame = to_frame(collect(studies, bundle, on_study), bundle)
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / PREDICTIONS, _packed(frame))
    write_bytes(folder / RATERS, _packed(raters_table(studies)))
    write_text(folder / CASES, cases_table(studies, truth_folder).to_csv(index=False))
    chosen = {(row.study, row.level) for row in example_discs(frame).itertuples()}
    slices = slices_of_discs([study for study in studies if study.key in {key for key, _ in chosen}], chosen, bundle)
    with replacing(folder / SLICES) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **{"|".join(disc): pixels for disc, pixels in slices.items()})  # type: ignore[arg-type]


def _packed(table: pd.DataFrame) -> bytes:
    """The table as gzip, without a date or a name, so that the same table is the same bytes."""
    return gzip.compress(table.to_csv(index=False).encode(), mtime=0)


def raters_table(studies: Iterable[LabelledStudy]) -> pd.DataFrame:
    """One row a rater, study, level and target: published grades."""
    rows = []
    for study in studies:
        for rater, level, target in zip(*np.nonzero(study.raters_RLT != UNKNOWN), strict=True):
            grade = TARGETS[target].grades[study.raters_RLT[rater, level, target]]
            rows.append((f"rater {rater + 1}", study.key, LEVELS[level], TARGETS[target].name, grade))
    return pd.DataFrame(rows, columns=["rater", "study", "level", "target", "grade"])


def cases_table(studies: Iterable[LabelledStudy], truth_folder: Path) -> pd.DataFrame:
    """One row a phantom: how it was acquired and who was scanned."""
    rows = []
    for study in studies:
        record = json.loads((truth_folder / f"{study.patient}.json").read_text(encoding="utf-8"))
        first, second = record["series"][:2]
        age = record["parameters"]["person"]["age"]
        rows.append(
            {
                "study": study.key,
                "vendor": first["Manufacturer"],
                "field strength": f"{float(first['MagneticFieldStrength']):.1f} T",
                "second series": "STIR" if second["ScanningSequence"] == "IR" else "T2",
                "sex": record["parameters"]["person"]["sex"],
                "age": "under 40" if age < 40 else "40 to 60" if age < 60 else "60 and over",
                "signal to noise": round(_signal_to_noise(study), 1),
            }
        )
    return pd.DataFrame(rows)


def _signal_to_noise(study: LabelledStudy) -> float:
    """The lower of the sagittal series', around the spine."""
    located = locate_all(read_study(study.source).series, study.masks)
    return min(figures_of(one).signal_to_noise for one in located if one.series.plane == "sagittal" and one.frames)


def slices_of_discs(
    studies: Sequence[LabelledStudy], discs: set[tuple[str, str]], bundle: Bundle
) -> dict[tuple[str, str], NDArray[np.uint8]]:
    """The slices nearest the midline of each disc, T2 or STIR first, as (S, H, W) uint8."""
    shown: dict[tuple[str, str], NDArray[np.uint8]] = {}
    for study in studies:
        crops = predict_study(read_study(study.source), bundle).crops
        shown |= {(study.key, level): _central(crops[level]) for level in crops if (study.key, level) in discs}
    return shown


def spider_slices(root: Path, frame: pd.DataFrame) -> dict[tuple[str, str], NDArray[np.uint8]]:
    """Slices of SPIDER's instructive discs, for a notebook run where the data lies; they are not to be committed."""
    chosen = {(str(row.study), str(row.level)) for row in example_discs(frame).itertuples()}
    studies = load_dataset("spider", root).studies
    return slices_of_discs([one for one in studies if one.key in {key for key, _ in chosen}], chosen, load_bundle())


def _central(crops: Sequence[LevelCrop]) -> NDArray[np.uint8]:
    order = sorted(
        (index for index, crop in enumerate(crops) if crop.view is not View.AXIAL_T2),
        key=lambda index: (abs(crops[index].offset_mm) > 2.5, crops[index].view is View.SAGITTAL_T1),
    )
    return np.stack([_grey(crops[index].pixels_HW) for index in order[:SLICES_SHOWN]])


def _grey(pixels_HW: NDArray[np.float32]) -> NDArray[np.uint8]:
    low, high = np.quantile(pixels_HW, (0.005, 0.995))
    return np.round(np.clip((pixels_HW - low) / max(float(high - low), 1e-6), 0, 1) * 255).astype(np.uint8)
