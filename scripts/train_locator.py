"""Train the locator: the network that finds discs, bodies and canal in sagittal slices.

python scripts/train_locator.py data=spider data.root=PATH out=data/runs/locator
"""

from pathlib import Path

from spinenet.train.hydra_command import script
from spinenet.train.training_config import TrainLocatorConfig


@script("train_locator", TrainLocatorConfig)
def main(config: TrainLocatorConfig) -> None:
    """Split patients, train, export ``locator.onnx`` into the run folder."""
    from spinenet.train.runs import train_locator

    train_locator(config, Path(config.out))


if __name__ == "__main__":
    main()
