"""The phantom's numbers say what they are: a unit, a source, and as many values as there are levels or grades."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from spinenet.labels import TARGETS
from spinephantom import Mode
from spinephantom.data import raw, record
from spinephantom.patient.habits import HERNIATION, LATENT, MODES, PFIRRMANN, SLIP
from spinephantom.patient.pathology import LUMBAR_DISCS, N_DISCS
from spinephantom.patient.person import INCIDENTAL
from spinephantom.physics.tissue import TABLE
from spinephantom.population.prevalence import AIMS
from spinephantom.spine.sizes import BODIES, DISCS, PEDICLES, PROCESSES, SAC

FOLDER = files("spinephantom.data")
NUMBERS = sorted(path.name.removesuffix(".toml") for path in FOLDER.iterdir() if path.name.endswith(".toml"))
NUMBERS.remove("sources")
MARK = re.compile(r"(V\d+|L|D|P|E)\b")


def entries() -> Iterator[tuple[str, dict[str, Any]]]:
    for table in NUMBERS:
        for section, quantities in raw(table).items():
            yield from ((f"{table}.{section}.{name}", entry) for name, entry in quantities.items())


def test_every_number_has_a_source_and_a_unit() -> None:
    for name, entry in entries():
        assert MARK.match(entry["source"]), name
        assert set(entry) == {"value", "unit", "source"} or "value" not in entry, name


def test_every_source_that_is_cited_is_listed_and_every_listed_one_is_cited() -> None:
    cited = {mark for _, entry in entries() for mark in MARK.findall(entry["source"]) if mark[1:].isdigit()}
    listed = tomllib.loads(FOLDER.joinpath("sources.toml").read_text(encoding="utf-8"))["read"]
    assert cited == set(listed)


def test_a_record_holds_all_of_its_section_and_nothing_else() -> None:
    @dataclass(frozen=True)
    class Slice:
        width: float

    with pytest.raises(ValueError, match=r"acquisition.toml, \[slice\]"):
        record(Slice, "acquisition", "slice")


@pytest.mark.parametrize("sizes", [BODIES, DISCS, SAC, PEDICLES, PROCESSES], ids=lambda sizes: type(sizes).__name__)
def test_sizes_are_known_at_every_level(sizes: object) -> None:
    lists = [value for value in vars(sizes).values() if isinstance(value, np.ndarray)]
    assert lists and all(len(values) == N_DISCS for values in lists)


def test_shares_make_a_whole() -> None:
    wholes = [HERNIATION.zones, INCIDENTAL.fractured, tuple(INCIDENTAL.transitional.values())]
    wholes += [habits.modic_types for habits in MODES.values()]
    assert np.allclose([sum(shares) for shares in wholes], 1.0)


def test_a_disc_loses_signal_and_height_from_grade_to_grade() -> None:
    assert (np.diff(PFIRRMANN.grade) > 0).all()
    assert (np.diff(PFIRRMANN.t2_ms) < 0).all() and (np.diff(PFIRRMANN.height) <= 0).all()


def test_disease_is_rarer_towards_the_head() -> None:
    assert len(LATENT.load) == len(HERNIATION.population) == len(SLIP.population) == N_DISCS
    assert (np.diff(HERNIATION.population) <= 0).all() and SLIP.population.argmax() == 1


@pytest.mark.parametrize("mode", Mode)
def test_prevalence_is_asked_for_by_lumbar_level_and_grade(mode: Mode) -> None:
    grades = {target.condition: len(target.grades) for target in TARGETS}
    assert {name: table.shape for name, table in AIMS[mode].items()} == {
        name: (LUMBAR_DISCS, grades[name]) for name in AIMS[mode]
    }


def test_fluid_relaxes_most_slowly_and_cortex_most_quickly() -> None:
    t2_ms = {name: tissue.t2_ms for name, tissue in TABLE.items()}
    assert max(t2_ms, key=t2_ms.__getitem__) == "csf" and min(t2_ms, key=t2_ms.__getitem__) == "cortical"
