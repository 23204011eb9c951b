"""Is one run better than another on the same patients? Paired differences with intervals and p-values.

python scripts/compare.py RUN_A RUN_B out=DIR     run folders with a predictions.csv, or two such files
"""

import sys
from pathlib import Path
from typing import Any

from spinenet.errors import ConfigError
from spinenet.train.evaluation_config import CompareConfig
from spinenet.train.script import script


@script("compare", CompareConfig)
def main(config: CompareConfig) -> None:
    """Compare two tables of predictions and write the folder."""
    from spinenet.evaluate import compare, load_predictions, write_comparison
    from spinenet.evaluate.samples import load_truth

    if not config.first or not config.second:
        raise ConfigError("name two runs: python scripts/compare.py RUN_A RUN_B")
    truth = load_truth(Path(config.truth)) if config.truth else None
    runs = [Path(config.first), Path(config.second)]
    names = [run.parent.name if run.suffix == ".csv" and run.parent.name else run.name for run in runs]
    if names[0] == names[1]:
        names = [str(run) for run in runs]
    first, second = (load_predictions(run, truth) for run in runs)
    chosen: dict[str, Any] = {"samples": config.samples, "seed": config.seed}
    write_comparison(compare(first, second, (names[0], names[1]), **chosen), Path(config.out))
    print(f"report: {Path(config.out) / 'report.md'}")


def named(arguments: list[str]) -> list[str]:
    """The first two plain arguments become ``first=`` and ``second=``, as Hydra wants them."""
    keys = iter(("first", "second"))
    plain = [index for index, argument in enumerate(arguments) if "=" not in argument and not argument.startswith("-")]
    places = {index: f"{key}={arguments[index]}" for index, key in zip(plain[:2], keys, strict=False)}
    return [places.get(index, argument) for index, argument in enumerate(arguments)]


if __name__ == "__main__":
    sys.argv[1:] = named(sys.argv[1:])
    main()
