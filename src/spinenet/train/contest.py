"""Networks of different kinds on one test set: what each reaches, how large it is and how long it takes."""

import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spinenet.datasets import LabelledStudy
from spinenet.datasets.level_sources import placed_series
from spinenet.evaluate import Settings
from spinenet.evaluate.collection.run_folders import RunToTest, evaluate_runs, open_run
from spinenet.labels import TARGETS, Scale
from spinenet.model.bundle import Bundle
from spinenet.predict import grade, placed
from spinenet.train.baselines import build_grader
from spinenet.train.runs import grader_config

TIMED_STUDIES = 8


@dataclass(frozen=True)
class Contestant:
    """One run: ``metrics`` as in ``metrics.json``, ``weights`` of the network, ``seconds`` to grade a study."""

    name: str
    kind: str
    metrics: Mapping[str, Any]
    weights: int
    seconds: float


def judge(run: Path, data_name: str, data_root: Path, out: Path, *, samples: int, seed: int) -> Contestant:
    """Evaluate one run's bundle on a whole data set; ``out`` gets its evaluation in a folder of the run's name."""
    opened = open_run(run, data_name, data_root)
    evaluate_runs([opened], out / run.name, Settings(run.name, samples, seed))
    metrics = json.loads((out / run.name / "metrics.json").read_text())
    model = grader_config(run).model
    weights = sum(parameter.numel() for parameter in build_grader(model).parameters())
    return Contestant(run.name, model.kind, metrics, weights, seconds_a_study(opened))


def seconds_a_study(opened: RunToTest) -> float:
    """Median processor time to crop and grade, in ONNX Runtime on one thread, over a few studies."""
    return statistics.median(_seconds(study, opened.bundle) for study in opened.test[:TIMED_STUDIES])


def _seconds(study: LabelledStudy, bundle: Bundle) -> float:
    checked = placed(study.key, placed_series(study, bundle.spec))
    began = time.process_time()
    grade(checked, bundle)
    return time.process_time() - began


def contest_table(contestants: Sequence[Contestant]) -> str:
    """Markdown: a row a run; quadratic kappa of ordinal targets, AUC of binary ones, each with its 95 % interval."""
    shown = [target for target in TARGETS if all(target.name in one.metrics["targets"] for one in contestants)]
    titles = [f"{target.title}, {'AUC' if target.scale is Scale.BINARY else 'kappa'}" for target in shown]
    lines = [
        "| " + " | ".join(["Network", "Weights (million)", "Seconds a study", *titles]) + " |",
        "|" + "---|" * (3 + len(shown)),
    ]
    for one in contestants:
        cells = [f"{one.name} ({one.kind})", f"{one.weights / 1e6:.1f}", f"{one.seconds:.2f}"]
        for target in shown:
            figures = one.metrics["targets"][target.name]["metrics"]
            cells.append(_figure(figures.get("auc" if target.scale is Scale.BINARY else "quadratic_kappa")))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _figure(figure: Mapping[str, float | None] | None) -> str:
    if figure is None or figure.get("value") is None:
        return "–"
    if figure.get("low") is None:
        return f"{figure['value']:.2f}"
    return f"{figure['value']:.2f} [{figure['low']:.2f}, {figure['high']:.2f}]"
