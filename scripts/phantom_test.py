"""Predict a test set of phantoms and keep what the notebooks show of it.

python scripts/make_phantom.py out=PHANTOMS studies=200 seed=777 study.mode=RSNA
python scripts/phantom_test.py data.root=PHANTOMS out=notebooks/phantom_test
"""

from pathlib import Path

from spinenet.datasets import load_dataset
from spinenet.evaluate.experiments.saved import save_phantom_test
from spinenet.model.bundle import load_bundle
from spinenet.system.progress import progress_bar
from spinenet.train.evaluation_config import PhantomTestConfig
from spinenet.train.script import script


@script("phantom_test", PhantomTestConfig)
def main(config: PhantomTestConfig) -> None:
    """Predictions with exact truth, simulated raters, cases and the slices of a few instructive discs."""
    root = Path(config.data.root)
    studies = load_dataset("phantom", root).studies
    bundle = load_bundle(Path(config.bundle) if config.bundle else None)
    with progress_bar() as progress:
        task = progress.add_task("predicting", total=len(studies))
        save_phantom_test(studies, root / "truth", bundle, Path(config.out), lambda study: progress.advance(task))
    print(f"saved: {config.out}")


if __name__ == "__main__":
    main()
