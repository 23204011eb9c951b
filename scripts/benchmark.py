"""Time and memory of prediction, measured as a user would meet them: start-up, then study after study.

python scripts/benchmark.py PATH [PATH ...]      all studies below the paths, the bundle in the package
"""

import resource
import statistics
import sys
import time
from pathlib import Path


def main(paths: list[Path]) -> None:
    """Print seconds from the first import to the first grades, then median and slowest study, and peak memory."""
    start = time.perf_counter()
    from spinenet.bundle import load_bundle
    from spinenet.predict import predict_study
    from spinenet.readers import find_studies, read_study
    from spinenet.report.html import render

    bundle = load_bundle()
    sources = find_studies(paths)
    predict_study(read_study(sources[0]), bundle)
    print(f"start-up with a first study, whose networks are opened on use: {time.perf_counter() - start:.2f} s")
    seconds: dict[str, list[float]] = {"read": [], "predict": [], "report": []}
    for source in sources:
        began = time.perf_counter()
        study = read_study(source)
        read = time.perf_counter()
        result = predict_study(study, bundle)
        predicted = time.perf_counter()
        render(result, model={**bundle.metadata, "targets": bundle.targets})
        done = time.perf_counter()
        for name, value in zip(seconds, (read - began, predicted - read, done - predicted), strict=True):
            seconds[name].append(value)
    for name, values in seconds.items():
        print(f"{name}: median {statistics.median(values):.3f} s, slowest {max(values):.3f} s, {len(values)} studies")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("benchmark.py: name a file or folder of studies")
    main([Path(argument) for argument in sys.argv[1:]])
