"""Teach a bundle what real series look like, so that it refuses or flags what looks otherwise.

python scripts/fit_gates.py BUNDLE STUDIES: measures every sagittal series of STUDIES and writes what is usual, with
limits from held-out patients, into BUNDLE/model.json (key ``gates``).
"""

from pathlib import Path

import numpy as np
import typer
from rich.progress import track

from spinenet.bundle import load_bundle, write_bundle
from spinenet.errors import SpinenetError
from spinenet.labels import SAGITTAL_VIEWS, View
from spinenet.predict import locate_study
from spinenet.quality import FIGURES, figures_of, fit_reference, void_share
from spinenet.readers import find_studies, read_study
from spinenet.routing import route


def main(bundle: Path, studies: Path) -> None:
    """Measure, fit, write; views with too few real series get no reference."""
    opened = load_bundle(bundle)
    figures: dict[View, list[np.ndarray]] = {view: [] for view in SAGITTAL_VIEWS}
    voids: dict[View, list[float]] = {view: [] for view in SAGITTAL_VIEWS}
    for source in track(find_studies([studies]), "measuring"):
        try:
            located, _ = locate_study(route(read_study(source), opened.segment), opened)
        except SpinenetError as error:
            print(f"{source.key}: left out: {error}")
            continue
        for one in located:
            if one.series.view in figures:
                figures[one.series.view].append(figures_of(one))
                voids[one.series.view] += [void_share(one, frame, opened.spec) for frame in one.frames]
    gates = {}
    for view, measured in figures.items():
        if len(measured) < 10 * len(FIGURES):
            print(f"{view}: {len(measured)} series, too few for a reference")
            continue
        reference, held_out = fit_reference(np.stack(measured), voids[view])
        gates[view.value] = reference.to_dict()
        print(
            f"{view}: {reference.n} series, flagged beyond {reference.flag:.2f}, farthest held-out {held_out.max():.2f}"
        )
    kept = {key: value for key, value in opened.metadata.items() if key not in ("digest", "sha256")}
    write_bundle(bundle, opened.networks, opened.spec, opened.calibration, {**kept, "gates": gates})


if __name__ == "__main__":
    typer.run(main)
