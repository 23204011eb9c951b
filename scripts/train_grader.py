"""Train the grader on located levels and, given a locator's run, export the whole bundle.

python scripts/train_grader.py data=spider data.root=PATH locator=data/runs/locator out=data/runs/grader
"""

from pathlib import Path

from spinenet.train.hydra_command import script
from spinenet.train.training_config import TrainGraderConfig


@script("train_grader", TrainGraderConfig)
def main(config: TrainGraderConfig) -> None:
    """Split patients, train, export, and predict the validation patients to calibrate the bundle."""
    from spinenet.train.runs import train_grader

    train_grader(config, Path(config.out))


if __name__ == "__main__":
    main()
