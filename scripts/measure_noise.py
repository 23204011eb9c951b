"""Measure how far a bundle's grades move when a study is read again, and write it into its model.json.

python scripts/measure_noise.py 'studies=[STUDIES]' bundle=BUNDLE     paths as spinenet predict takes them
"""

from pathlib import Path

from spinenet.errors import ConfigError, SpinenetError
from spinenet.system.progress import track
from spinenet.train.evaluation_config import NoiseConfig
from spinenet.train.script import script


@script("measure_noise", NoiseConfig)
def main(config: NoiseConfig) -> None:
    """Read every study several times and write the noise of each target and measurement."""
    from spinenet.evaluate.robustness.noise import Pair, noise_table, repeats
    from spinenet.model.bundle import load_bundle, write_bundle
    from spinenet.readers import find_studies, read_study

    folder = Path(config.bundle)
    bundle = load_bundle(folder)
    sources = find_studies([Path(path) for path in config.studies])
    chosen = sources[:: max(1, len(sources) // config.most)][: config.most]
    pairs: list[Pair] = []
    for source in track(chosen, "reading again"):
        try:
            pairs += repeats(read_study(source), bundle, config.seed)
        except SpinenetError as error:
            print(f"{source.key}: left out: {error}")
    noise = noise_table(pairs)
    if not noise:
        raise ConfigError(f"{len(pairs)} repeated readings are too few to say how far grades move; give more studies")
    write_bundle(folder, bundle.parts, bundle.spec, bundle.calibration, {**bundle.metadata, "noise": noise})
    print("\n".join(f"{name}: {value}" for name, value in noise.items()))


if __name__ == "__main__":
    main()
