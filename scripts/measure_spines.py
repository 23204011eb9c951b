"""Measure every disc of a data set with label images, in mm, into a CSV of one row a disc and series.

python scripts/measure_spines.py data=spider data.root=PATH                  -> data/measurements/spider.csv
python scripts/measure_spines.py data=phantom data.root=PATH workers=2 out=phantoms.csv

docs/explanation/measuring.md says what the columns are and how far they may be off.
"""

from pathlib import Path

from spinenet.errors import DatasetError
from spinenet.labels import RESEARCH_ONLY
from spinenet.system.progress import track
from spinenet.train.evaluation_config import MeasureSpinesConfig
from spinenet.train.script import script


@script("measure_spines", MeasureSpinesConfig)
def main(config: MeasureSpinesConfig) -> None:
    """Measure each study; one that cannot be measured is named and left out."""
    from spinenet.datasets import load_dataset
    from spinenet.datasets.measured_discs import Cell, measured_study, write_rows
    from spinenet.system.processes import in_processes

    studies = load_dataset(config.data.name, Path(config.data.root)).studies
    rows: list[dict[str, Cell]] = []
    problems: list[str] = []
    for study, found in track(in_processes(studies, measured_study, config.workers), "measuring", len(studies)):
        rows += found.rows if found else ()
        problem = found.problem if found else f"{study.key}: its process died, perhaps for lack of memory"
        problems += [problem] if problem else []
    if not rows:
        raise DatasetError(f"{config.data.root}: no study has a label image that shows its discs; nothing to measure")
    order = {study.key: number for number, study in enumerate(studies)}
    write_rows(Path(config.out), sorted(rows, key=lambda row: order[str(row["study"])]))
    print("\n".join([*problems, f"{config.out}: {len(rows)} rows, {len(problems)} studies without", RESEARCH_ONLY]))


if __name__ == "__main__":
    main()
