"""Join a locator's and one or more graders' runs into a bundle that predicts without torch.

python scripts/export.py 'graders=[RUN,RUN]' locator=RUN out=DIR
"""

from pathlib import Path

from spinenet.train.hydra_command import script
from spinenet.train.training_config import ExportConfig


@script("export", ExportConfig)
def main(config: ExportConfig) -> None:
    """Write ``out/bundle``; every network is compared with torch before it is kept."""
    from spinenet.train.runs import export_run

    export_run(config, Path(config.out))
    print(f"bundle: {Path(config.out) / 'bundle'}")


if __name__ == "__main__":
    main()
