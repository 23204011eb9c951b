"""Made-up predictions: patients whose discs resemble each other, and a model that is mostly right."""

import numpy as np
import pandas as pd
import pytest

from spinenet.labels import LEVELS, MAX_GRADES, TARGET


def _rows(name: str, patients: int, rng: np.random.Generator) -> pd.DataFrame:
    target = TARGET[name]
    grades, discs = len(target.grades), 5 * patients
    spine = rng.normal(0, 1, patients).repeat(5) + rng.normal(0, 1, discs)
    truth = np.clip(np.round((spine + 3) / 6 * (grades - 1)), 0, grades - 1).astype(int)
    evidence = 2 * (rng.normal(0, 1, (discs, grades)) + 2 * np.eye(grades)[truth])  # log likelihood of each grade
    probabilities = np.exp(evidence) / np.exp(evidence).sum(axis=1, keepdims=True)
    raw = np.exp(3 * evidence) / np.exp(3 * evidence).sum(axis=1, keepdims=True)  # three times too sure
    decided = probabilities.argmax(axis=1)
    frame = pd.DataFrame(
        {
            "study": [f"{patient:03d}" for patient in range(patients) for _ in range(5)],
            "level": list(LEVELS[:5]) * patients,
            "target": name,
            "grade": np.array(target.grades)[decided],
            "label": np.array(target.words)[decided],
        }
    )
    for prefix, values in (("p", probabilities), ("u", raw)):
        for index in range(MAX_GRADES):
            frame[f"{prefix}_{index}"] = values[:, index] if index < grades else np.nan
    return frame.assign(confident=probabilities.max(axis=1) > 0.8, truth=np.array(target.grades)[truth])


@pytest.fixture
def predictions():
    """``predictions(*targets, patients=..., seed=...)`` -> a table as an evaluation run writes it."""

    def make(*targets: str, patients: int = 40, seed: int = 0) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        return pd.concat([_rows(name, patients, rng) for name in targets], ignore_index=True)

    return make
