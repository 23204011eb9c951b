"""What a run says of itself: what was typed, what it read, and what may be told to others."""

import json
from dataclasses import replace

from spinenet.datasets import load_dataset
from spinenet.train.provenance import facts_of, read_provenance, write_provenance


def test_a_run_says_what_it_read_and_keeps_that_when_it_is_resumed(phantom_root, tmp_path):
    studies = load_dataset("phantom", phantom_root).studies
    write_provenance(tmp_path, ["mine"], ["data.root=/home/me", "seed=3"], {"phantom": studies, "spider": studies[:1]})
    begun = json.loads((tmp_path / "run.json").read_text())
    assert begun["overrides"] == ["data.root=/home/me", "seed=3"]
    assert begun["data"]["phantom"]["studies"] == len(studies) and begun["data"]["spider"]["patients"] == 1
    write_provenance(tmp_path, [], ["seed=4"], {"phantom": studies[:1]})
    resumed = json.loads((tmp_path / "run.json").read_text())
    assert resumed["data"] == begun["data"] and len(resumed["commands"]) == 2
    told = read_provenance(tmp_path)
    assert "/home/me" not in json.dumps(told) and told["data"] == begun["data"]


def test_another_grade_or_another_file_is_another_data_set(phantom_root):
    study, *others = load_dataset("phantom", phantom_root).studies
    whole = facts_of([study, *others])
    assert facts_of([*others, study]) == whole
    regraded = replace(study, grades_LT=study.grades_LT * 0)
    assert facts_of([regraded, *others])["labels"] != whole["labels"]
    assert facts_of([regraded, *others])["files"] == whole["files"]
    fewer = replace(study, source=replace(study.source, volumes=study.source.volumes[:1]))
    assert facts_of([fewer, *others])["files"] != whole["files"]
