"""Teach a bundle what real series look like, so that it refuses or flags what looks otherwise.

python scripts/fit_gates.py BUNDLE STUDIES: measures every series of STUDIES and writes what is usual, with limits from
held-out patients, into BUNDLE/model.json (key ``gates``). --synthetic PHANTOMS: views of which STUDIES have too few are
measured there instead; what looks otherwise is then flagged, never refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from spinenet.checking.artefacts import ARTEFACTS, artefact_figures, limits_of
from spinenet.checking.quality import FIGURES, UsualSeries, figures_of, fit_usual
from spinenet.errors import SpinenetError
from spinenet.labels import VIEWS, View
from spinenet.model.bundle import Bundle, load_bundle, write_bundle
from spinenet.predict import locate
from spinenet.readers import find_studies, read_study
from spinenet.study import sentence
from spinenet.system.progress import track


@dataclass
class ViewFigures:
    """What was measured in the series of one view: figures and artefacts of each."""

    figures: list[NDArray[np.float64]] = field(default_factory=list)
    artefacts: list[NDArray[np.float64]] = field(default_factory=list)


def main(
    bundle: Path,
    studies: Path,
    synthetic: Annotated[Path | None, typer.Option(help="Phantoms, for views without real series.")] = None,
) -> None:
    """Measure, fit, write; views with too few series get no reference."""
    opened = load_bundle(bundle)
    gates = _fitted(_measured(studies, opened, VIEWS))
    if synthetic is not None:
        missing = [view for view in VIEWS if view not in gates]
        learnt = _fitted(_measured(synthetic, opened, missing)) if missing else {}
        gates |= {view: replace(reference, synthetic=True) for view, reference in learnt.items()}
    kept = {key: value for key, value in opened.metadata.items() if key not in ("digest", "sha256")}
    facts = {**kept, "gates": {view.value: reference.to_dict() for view, reference in gates.items()}}
    write_bundle(bundle, opened.parts, opened.spec, opened.calibration, facts)


def _measured(studies: Path, bundle: Bundle, views: Sequence[View]) -> dict[View, ViewFigures]:
    measured = {view: ViewFigures() for view in views}
    for source in track(find_studies([studies]), "measuring"):
        try:
            located = locate(read_study(source), bundle)
        except SpinenetError as error:
            print(f"{source.key}: left out: {error}")
            continue
        if not located.series:
            print(f"{source.key}: left out: {sentence(located.notes)}")
        for one in located.series:
            if one.series.view in measured:
                found = measured[one.series.view]
                found.figures.append(figures_of(one).figures_F)
                if one.series.plane == "sagittal":
                    found.artefacts.append(artefact_figures(one))
    return measured


def _fitted(measured: Mapping[View, ViewFigures]) -> dict[View, UsualSeries]:
    fitted = {}
    for view, found in measured.items():
        if len(found.figures) < 10 * len(FIGURES):
            print(f"{view}: {len(found.figures)} series, too few for a reference")
            continue
        reference, held_out = fit_usual(np.stack(found.figures))
        limits = limits_of(np.stack(found.artefacts)) if found.artefacts else ()
        fitted[view] = replace(reference, artefact_flags=limits)
        print(
            f"{view}: {reference.n} series, flagged beyond {reference.flag:.2f}, farthest held-out {held_out.max():.2f}"
        )
        if limits:
            print(
                "  artefacts beyond "
                + ", ".join(f"{name} {limit:.3f}" for name, limit in zip(ARTEFACTS, limits, strict=True))
            )
    return fitted


if __name__ == "__main__":
    typer.run(main)
