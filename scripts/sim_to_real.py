"""Canal grades of real volumes beside the canal's measured depth and area.

python scripts/sim_to_real.py data=spider data.root=SPIDER bundle=BUNDLE

Writes canals.csv, report.md and a contact sheet of the levels graded most and least severe. The sheet shows patients:
keep it where the data is kept.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spinenet.datasets import load_dataset
from spinenet.errors import DatasetError
from spinenet.evaluate.robustness import measured_canal
from spinenet.labels import RESEARCH_ONLY
from spinenet.model.bundle import load_bundle
from spinenet.study import StudyResult
from spinenet.system.files import write_text
from spinenet.system.progress import track
from spinenet.train.evaluation_config import SimToRealConfig
from spinenet.train.script import script

SHOWN = 8


@script("sim_to_real", SimToRealConfig)
def main(config: SimToRealConfig) -> None:
    """Grade, measure, correlate, draw."""
    bundle = load_bundle(Path(config.bundle) if config.bundle else None)
    if measured_canal.TARGET_NAME not in bundle.calibration:
        raise DatasetError("this bundle grades no canal stenosis; give one that does, bundle=FOLDER")
    studies = load_dataset(config.data.name, Path(config.data.root)).studies
    tables, crops = [], {}
    for table, result in measured_canal.graded_canals(track(studies, "grading"), bundle):
        tables.append(table)
        crops.update({(result.key, level): middle_slice(result, level) for level in result.crops})
    if not any(map(len, tables)):
        raise DatasetError(f"{config.data.root}: no volume with an outlined canal was graded")
    frame = measured_canal.with_relative_area(pd.concat(tables, ignore_index=True))
    correlations = measured_canal.rank_correlations(frame, samples=config.samples, seed=config.seed)
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "canals.csv", frame.to_csv(index=False))
    lines = [f"| {measured_canal.MEASURES[name]} | {value} |" for name, value in correlations.items()]
    head = (
        f"{frame.study.nunique()} patients, {len(frame)} levels. Spearman's correlation with the expected canal grade "
        "(0 normal to 2 severe), 95 % interval over patients; a narrower canal should be graded higher."
    )
    report = "\n".join([f"> {RESEARCH_ONLY}", "", head, "", "| Measure | Correlation |", "|---|---|", *lines, ""])
    write_text(out / "report.md", report)
    measured_canal.contact_sheet(measured_canal.extremes(frame, SHOWN), crops, out / "most_and_least.png")
    print(report)


def middle_slice(result: StudyResult, level: str) -> NDArray[np.float32]:
    """The crop (H, W) of a level nearest the midline."""
    return min(result.crops[level], key=lambda crop: abs(crop.offset_mm)).pixels_HW


if __name__ == "__main__":
    main()
