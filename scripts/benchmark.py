"""Time and memory of prediction, measured as a user would meet them: start-up, then study after study.

python scripts/benchmark.py PATH [PATH ...]      all studies below the paths, the bundle in the package
"""

import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STEPS = ("read", "locate", "check", "grade", "decide", "report")


def main(paths: list[Path]) -> None:
    """Print start-up, where the time of a study goes (median and slowest, wall clock), and peak memory."""
    start = time.perf_counter()
    from spinenet.model.bundle import load_bundle
    from spinenet.readers import find_studies

    bundle = load_bundle()
    sources = find_studies(paths)
    timed_study(sources[0], bundle)
    print(f"start-up with a first study, whose networks are opened on use: {time.perf_counter() - start:.2f} s")
    studies = [timed_study(source, bundle) for source in sources]
    slices = statistics.median(study["slices"] for study in studies)
    print(f"{len(studies)} studies, median {slices:.0f} slices; seconds a study, median and slowest")
    for step in (*STEPS, "all"):
        values = [sum(study[one] for one in STEPS) if step == "all" else study[step] for study in studies]
        print(f"{step:>8} {statistics.median(values):7.3f} {max(values):7.3f}")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def timed_study(source: Any, bundle: Any) -> dict[str, float]:
    """Seconds of every step of one study, those of ``predict_study`` among them, and its number of slices."""
    from spinenet.predict import check, decide, grade, locate
    from spinenet.readers import read_study
    from spinenet.report.page.html import render

    seconds: dict[str, float] = {}

    def clocked(step: str, run: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        result = run()
        seconds[step] = time.perf_counter() - began
        return result

    study = clocked("read", lambda: read_study(source))
    located = clocked("locate", lambda: locate(study, bundle))
    checked = clocked("check", lambda: check(located, bundle))
    graded = clocked("grade", lambda: grade(checked, bundle))
    result = clocked("decide", lambda: decide(graded, bundle))
    clocked("report", lambda: render(result, model={**bundle.metadata, "targets": bundle.targets}))
    return {**seconds, "slices": float(sum(len(series.voxels_SRC) for series in study.series))}


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("benchmark.py: name a file or folder of studies")
    main([Path(argument) for argument in sys.argv[1:]])
