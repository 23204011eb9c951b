"""Grades of stenosis of real volumes cut axially at every disc, by level.

python scripts/sim_to_real_axial.py data=spider data.root=SPIDER bundle=BUNDLE out=FOLDER

Writes the cut volumes (slices of patients: keep them where the data is kept), grades them as ``spinenet predict``
does, and writes by_level.csv. Nobody has graded these volumes; how common stenosis is at each level is known, and how
narrow the outlined canal is, by which its grades are ranked.
"""

from pathlib import Path

import pandas as pd

from spinenet.datasets import load_dataset
from spinenet.errors import DatasetError
from spinenet.evaluate.robustness.axial_cuts import cut_axially, grades_by_level, name_of
from spinenet.evaluate.robustness.measured_canal import MEASURES, canal_rows, rank_correlations, with_relative_area
from spinenet.labels import RESEARCH_ONLY
from spinenet.model.bundle import load_bundle
from spinenet.predict import predict_study
from spinenet.readers import find_studies, read_study
from spinenet.system.files import write_text
from spinenet.system.progress import track
from spinenet.train.evaluation_config import SimToRealConfig
from spinenet.train.script import script


@script("sim_to_real", SimToRealConfig)
def main(config: SimToRealConfig) -> None:
    """Cut, grade, count."""
    bundle = load_bundle(Path(config.bundle) if config.bundle else None)
    volumes = Path(config.out) / "volumes"
    studies = load_dataset(config.data.name, Path(config.data.root)).studies
    cut = [(study, one) for study in track(studies, "cutting") if (one := cut_axially(study, volumes)) is not None]
    if not cut:
        raise DatasetError(f"{config.data.root}: no study has a thin sagittal volume with label images to cut")
    results = [predict_study(read_study(source), bundle) for source in track(find_studies([volumes]), "grading")]
    table = grades_by_level(results)
    write_text(Path(config.out) / "by_level.csv", table.round(3).to_csv(index=False))
    by_name = {one.key: one for one in results}
    canals = pd.concat([canal_rows(study, (one,), by_name[name_of(study)]) for study, one in cut], ignore_index=True)
    ranks = rank_correlations(with_relative_area(canals), samples=config.samples, seed=config.seed)
    lines = [f"canal grade with {MEASURES[name]}, {len(canals)} levels: {value}" for name, value in ranks.items()]
    print("\n".join([f"{len(cut)} volumes", table.round(2).to_string(index=False), *lines, RESEARCH_ONLY]))


if __name__ == "__main__":
    main()
