"""Measure how far a bundle's grades move when a study is read or scanned again, and write it into its model.json.

python scripts/measure_noise.py 'studies=[STUDIES]' bundle=BUNDLE     paths as spinenet predict takes them

Readings of studies give the table ``noise``, phantoms that are scanned twice ``rescan_noise``: 60 of them take about
five minutes of one core.
"""

from pathlib import Path

from spinenet.errors import ConfigError, SpinenetError
from spinenet.evaluate.robustness.noise import Pair, noise_table, repeats, scanned_again
from spinenet.model.bundle import Bundle, load_bundle, write_bundle
from spinenet.readers import find_studies, read_study
from spinenet.study import Study
from spinenet.system.progress import track
from spinenet.train.evaluation_config import NoiseConfig
from spinenet.train.script import script

FIRST_SEED = 700_000
"""Phantoms from here on are in no set of training or test."""


@script("measure_noise", NoiseConfig)
def main(config: NoiseConfig) -> None:
    """Write the tables of noise that could be measured; ConfigError where there is none."""
    folder = Path(config.bundle)
    bundle = load_bundle(folder)
    tables = {"noise": readings(config, bundle), "rescan_noise": rescans(config, bundle)}
    measured = {name: table for name, table in tables.items() if table}
    if not measured:
        raise ConfigError("too few repeated readings to say how far grades move; give more studies, or rescans")
    write_bundle(folder, bundle.parts, bundle.spec, bundle.calibration, {**bundle.metadata, **measured})
    for name, table in measured.items():
        print(f"{name}:", *(f"  {target}: {value}" for target, value in table.items()), sep="\n")


def readings(config: NoiseConfig, bundle: Bundle) -> dict[str, float]:
    """Of every study that is read several times; nothing where none is given."""
    sources = find_studies([Path(path) for path in config.studies]) if config.studies else []
    chosen = sources[:: max(1, len(sources) // config.most)][: config.most]
    pairs: list[Pair] = []
    for source in track(chosen, "reading again"):
        try:
            pairs += repeats(read_study(source), bundle, config.seed)
        except SpinenetError as error:
            print(f"{source.key}: left out: {error}")
    return noise_table(pairs)


def rescans(config: NoiseConfig, bundle: Bundle) -> dict[str, float]:
    """Of phantoms that are scanned on two visits, T1, T2 and axial T2."""
    from spinephantom.synthesis import make_study, rescanned

    pairs: list[Pair] = []
    for seed in track(range(FIRST_SEED + config.seed, FIRST_SEED + config.seed + config.rescans), "scanning again"):
        first = make_study(seed, stir_share=0.0, sub_slices=1)
        again = rescanned(first, 1)
        pairs += scanned_again(Study(str(seed), first.images), Study(str(seed), again.images), bundle)
    return noise_table(pairs)


if __name__ == "__main__":
    main()
