"""How far do grades move when the same study is shown in another way? Test-retest without any truth.

python scripts/robustness.py 'studies=[STUDIES]' bundle=BUNDLE out=DIR     paths as spinenet predict takes them
"""

from pathlib import Path

from spinenet.errors import ConfigError, SpinenetError
from spinenet.system.progress import track
from spinenet.train.evaluation_config import RobustnessConfig
from spinenet.train.script import script


@script("robustness", RobustnessConfig)
def main(config: RobustnessConfig) -> None:
    """Predict every study as it is and changed, and write what moved."""
    from spinenet.evaluate.robustness.retest import Retest, retests
    from spinenet.evaluate.robustness.retest_outputs import write_retests
    from spinenet.model.bundle import load_bundle
    from spinenet.readers import find_studies, read_study

    bundle = load_bundle(Path(config.bundle) if config.bundle else None)
    sources = find_studies([Path(path) for path in config.studies])
    chosen = sources[:: max(1, len(sources) // config.most)][: config.most]
    found: list[Retest] = []
    unread = 0
    for source in track(chosen, "predicting"):
        try:
            found += retests(read_study(source), bundle, config.seed)
        except SpinenetError:
            unread += 1
    if not found:
        raise ConfigError(f"none of the {len(chosen)} studies can be graded; see spinenet predict for the reasons")
    model = f"{bundle.name} {bundle.version}"
    write_retests(found, Path(config.out), model=model, samples=config.samples, seed=config.seed)
    print(f"report: {Path(config.out) / 'report.md'} ({unread} studies could not be read)")


if __name__ == "__main__":
    main()
