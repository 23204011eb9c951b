"""From predictions to the challenge's submission.csv, and its score where the labels are there.

spinenet predict data/rsna2024/test_images --out out
python scripts/submit_rsna.py predictions=out/predictions.csv images=test_images data.root=data/rsna2024
"""

from dataclasses import dataclass, field
from pathlib import Path

from spinenet.datasets.splits import DataConfig
from spinenet.errors import ConfigError
from spinenet.system.files import write_text
from spinenet.train.script import script


@dataclass
class SubmitConfig:
    """``images`` is the folder below ``data.root`` whose studies are to be in the submission."""

    predictions: str = "out/predictions.csv"
    """A predictions.csv of ``spinenet predict``."""
    images: str = "train_images"
    """Folder below ``data.root``."""
    out: str = "submission.csv"
    """The file to write."""
    data: DataConfig = field(default_factory=DataConfig)


@script("submit_rsna", SubmitConfig)
def main(config: SubmitConfig) -> None:
    """Write 25 rows a study; levels without a prediction get the prior of their condition, and that is said."""
    import pandas as pd

    from spinenet.datasets.rsna2024 import read_tables
    from spinenet.evaluate.rsna_score import names_of, rsna_score, submission_of, truth_of_grades
    from spinenet.serve.output_folder import SALT_FILE

    folder = Path(config.data.root) / config.images
    if not folder.is_dir() or not Path(config.predictions).is_file():
        raise ConfigError(
            f"{folder} and {config.predictions} must both be there; set data.root, images and predictions"
        )
    studies = sorted(path.name for path in folder.iterdir() if path.is_dir())
    predictions = pd.read_csv(config.predictions, dtype={"study": str})
    salted = Path(config.predictions).with_name(SALT_FILE)
    salt = salted.read_bytes() if salted.exists() else b""
    submission, filled = submission_of(predictions, names_of(studies, salt))
    write_text(Path(config.out), submission.to_csv(index=False))
    print(f"{config.out}: {len(submission)} rows of {len(studies)} studies, {filled} of them without a prediction")
    if config.images == "train_images":
        grades = read_tables(Path(config.data.root)).grades
        score = rsna_score(truth_of_grades((study, grades[study]) for study in studies if study in grades), submission)
        parts = ", ".join(f"{part.replace('_', ' ')} {loss:.4f}" for part, loss in score.items() if part != "total")
        print(f"score {score['total']:.4f}: {parts}")


if __name__ == "__main__":
    main()
