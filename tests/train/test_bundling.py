"""Further parts in a bundle that is there: they grade what they learnt from patients, the rest stays as it was."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from omegaconf import OmegaConf

from spinenet.crops import CropSpec
from spinenet.datasets.splits import save_split
from spinenet.errors import ConfigError
from spinenet.model.bundle import DISCS, GRADER, LOCATOR, MEASURED, SAC, SEGMENTER, Bundle, load_bundle, write_bundle
from spinenet.model.calibration import NEUTRAL, TargetCalibration
from spinenet.model.canal_by_area import KEY, CanalByArea, OrdinalLine
from spinenet.train.bundling import export_run
from spinenet.train.discs.disc_config import TrainDiscsConfig
from spinenet.train.export import mean_of_networks
from spinenet.train.export_config import ExportConfig
from spinenet.train.export_summary import kind_of_run
from spinenet.train.networks import Grader
from spinenet.train.training_config import (
    TrainGraderConfig,
    TrainLocatorConfig,
    TrainMeasuredConfig,
    TrainSegmenterConfig,
)

FACTS = {"data": "drawn", "licence": "none"}


def constant_network(odds: float) -> bytes:
    """Log-probabilities of two grades, the same wherever a T2 shows the disc."""
    p = np.log([[1 - odds, odds], [1 - odds, odds]]).astype(np.float32)
    nodes = [
        onnx.helper.make_node("Constant", [], ["w"], value=onnx.numpy_helper.from_array(p)),
        onnx.helper.make_node("MatMul", ["present_LV", "w"], ["scores"]),
        onnx.helper.make_node("LogSoftmax", ["scores"], ["narrowing"], axis=1),
    ]
    floats = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["l", 2])
        for name in ("present_LV", "narrowing")
    ]
    graph = onnx.helper.make_graph(nodes, "constant", floats[:1], floats[1:])
    opset = [onnx.helper.make_opsetid("", 20)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString()


def run_folder(folder: Path, files: dict[str, bytes], evidence: dict[str, str], *, fold: int = 0) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    recipe = {"data": {"name": "spider", "root": "somewhere", "extra": {}, "fold": fold}, "fit": {"steps": 3}}
    OmegaConf.save(
        OmegaConf.create({**recipe, "crop": CropSpec(rows=16, columns=24).to_dict()}), folder / "config.yaml"
    )
    (folder / "learnt.json").write_text(json.dumps({"evidence": evidence, "views": ["sagittal_t1", "sagittal_t2"]}))
    (folder / "run.json").write_text(json.dumps({"commit": "c", "generators": [f"maker {folder.name}"]}))
    save_split(folder / "split.json", {"1": 0, "2": 1}, seed=0)
    return folder


@pytest.fixture(name="exported")
def fixture_exported(tiny_bundle: Bundle, tmp_path: Path, stump_arrays: Any, packed: Any) -> Path:
    arrays = packed(stump_arrays(("g_height_mean_mm",), ("narrowing", "bulging")))
    real = {"narrowing": "real", "bulging": "synthetic"}
    segmenter = run_folder(tmp_path / "s", {SEGMENTER: b"outlines"}, {})
    measured = run_folder(tmp_path / "m", {MEASURED: arrays}, {"narrowing": "real", "bulging": "real"})
    discs = [
        run_folder(tmp_path / f"d{index}", {DISCS: constant_network(odds)}, real)
        for index, odds in enumerate((0.2, 0.6))
    ]
    stale = {**FACTS, "name": "tiny", "version": "0", "noise": {"narrowing": 0.1}, "metrics": {"discs": 3}}
    stale["made_with"] = {"commit": "before", "generators": ["maker 0"]}
    start = write_bundle(tmp_path / "start", tiny_bundle.parts, tiny_bundle.spec, tiny_bundle.calibration, stale)
    config = ExportConfig(
        out=str(tmp_path / "out"),
        start=str(start),
        locator=str(run_folder(tmp_path / "l", {LOCATOR: b"finds"}, {})),
        segmenter=str(segmenter),
        measured=str(measured),
        discs=[str(run) for run in discs],
        name="whole",
        facts=FACTS,
    )
    (tmp_path / "out").mkdir()
    export_run(config, tmp_path / "out")
    return tmp_path / "out"


def test_parts_grade_what_they_learnt_from_patients_and_nothing_else(exported: Path, tiny_bundle: Bundle) -> None:
    bundle = load_bundle(exported / "bundle")
    assert bundle.graded_by("narrowing") == (MEASURED, DISCS)
    assert bundle.graded_by("bulging") == (MEASURED,)
    assert bundle.graded_by("modic") == (GRADER,)
    assert bundle.parts[LOCATOR] == b"finds" and bundle.parts[GRADER] == tiny_bundle.parts[GRADER]
    assert bundle.targets == tiny_bundle.targets and bundle.spec == tiny_bundle.spec
    assert (bundle.disc_spec.rows, bundle.disc_spec.columns) == (16, 24)
    assert {view.value for view in bundle.read_from("narrowing")} == {"sagittal_t1", "sagittal_t2"}
    assert bundle.name == "whole" and "narrowing" in (exported / "bundle" / "MODEL_CARD.md").read_text().lower()


def test_a_model_on_own_measurements_needs_a_bundle_that_outlines(exported: Path, tmp_path: Path) -> None:
    again = ExportConfig(
        out=str(tmp_path / "again"), start=str(exported / "bundle"), measured=str(tmp_path / "m"), facts=FACTS
    )
    (tmp_path / "again").mkdir()
    export_run(again, tmp_path / "again")
    bundle = load_bundle(tmp_path / "again" / "bundle")
    assert bundle.graded_by("narrowing") == bundle.graded_by("bulging") == (MEASURED,)
    assert bundle.parts[SEGMENTER] == b"outlines" and DISCS not in bundle.parts
    assert "disc_crop" not in bundle.metadata and bundle.graded_by("modic") == (GRADER,)


def test_what_new_parts_have_not_learnt_stays_with_the_old_ones_and_is_calibrated_anew_where_those_change(
    exported: Path, tmp_path: Path
) -> None:
    """A researcher's disc network knows modic alone: what was graded by measurements stays so, without the pictures."""
    fitted = TargetCalibration(0.5, cuts=(0.3,))
    before = load_bundle(exported / "bundle")
    calibration = {**before.calibration, "narrowing": fitted, "bulging": fitted}
    facts = {key: value for key, value in before.metadata.items() if key not in ("calibration", "sha256")}
    start = write_bundle(tmp_path / "start-2", before.parts, before.spec, calibration, facts)
    discs = run_folder(tmp_path / "mine", {DISCS: constant_network(0.3)}, {"modic": "real"})
    (tmp_path / "again").mkdir()
    export_run(
        ExportConfig(out=str(tmp_path / "again"), start=str(start), discs=[str(discs)], facts=FACTS), tmp_path / "again"
    )
    bundle = load_bundle(tmp_path / "again" / "bundle")
    assert bundle.graded_by("modic") == (DISCS,)
    assert bundle.graded_by("narrowing") == bundle.graded_by("bulging") == (MEASURED,)
    assert bundle.calibration["bulging"] == fitted  # decided as before
    assert bundle.calibration["narrowing"] == NEUTRAL  # by measurements and pictures before


def test_a_new_segmenter_takes_nothing_away_but_the_calibration(exported: Path, tmp_path: Path) -> None:
    segmenter = run_folder(tmp_path / "s2", {SEGMENTER: b"other outlines"}, {})
    (tmp_path / "again").mkdir()
    start = str(exported / "bundle")
    export_run(
        ExportConfig(out=str(tmp_path / "again"), start=start, segmenter=str(segmenter), facts=FACTS),
        tmp_path / "again",
    )
    bundle = load_bundle(tmp_path / "again" / "bundle")
    assert bundle.graded_by("narrowing") == (MEASURED, DISCS) and bundle.calibration["narrowing"] == NEUTRAL
    assert bundle.disc_spec == load_bundle(Path(start)).disc_spec


def test_an_exported_folder_can_be_judged_on_the_patients_it_kept_out(exported: Path) -> None:
    assert json.loads((exported / "split.json").read_text())["folds"]
    assert OmegaConf.load(exported / "config.yaml").data.fold == 0
    assert "somewhere" not in (exported / "bundle" / "model.json").read_text()


def test_a_bundle_says_what_made_the_synthetic_studies_of_all_its_parts(exported: Path) -> None:
    made = load_bundle(exported / "bundle").metadata["made_with"]
    assert made["generators"] == ["maker 0", "maker d0", "maker d1", "maker m", "maker s"] and made["commit"] == "c"


def test_figures_of_the_bundle_that_was_started_from_are_not_those_of_the_new_one(exported: Path) -> None:
    assert {"noise", "metrics"}.isdisjoint(load_bundle(exported / "bundle").metadata)


@pytest.fixture(name="grader_run")
def fixture_grader_run(tmp_path: Path) -> Path:
    """A grader that has learnt bulging and a stenosis from patients, hardly."""
    torch.manual_seed(0)
    real = {"bulging": "real", "canal_stenosis": "real"}
    run = run_folder(tmp_path / "g", {}, real)
    network = Grader(width=2, features=16, dropout=0.1, heads=4)
    recipe = OmegaConf.load(run / "config.yaml")
    recipe.model = {"kind": "attention", "width": 2, "features": 16, "dropout": 0.1}
    OmegaConf.save(recipe, run / "config.yaml")
    (run / "checkpoints").mkdir()
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": state}, run / "checkpoints" / "last.ckpt")
    return run


def test_a_new_grader_answers_for_what_the_other_parts_of_the_bundle_do_not(
    exported: Path, grader_run: Path, tmp_path: Path
) -> None:
    start = load_bundle(exported / "bundle")
    config = ExportConfig(out=str(tmp_path / "new"), start=str(start.path), graders=[str(grader_run)])
    (tmp_path / "new").mkdir()
    export_run(config, tmp_path / "new")
    bundle = load_bundle(tmp_path / "new" / "bundle")
    assert bundle.parts[GRADER] != start.parts[GRADER]
    assert {name: bundle.parts[name] for name in (LOCATOR, SEGMENTER, MEASURED, DISCS)} == {
        name: start.parts[name] for name in (LOCATOR, SEGMENTER, MEASURED, DISCS)
    }
    assert bundle.targets == ("bulging", "narrowing", "canal_stenosis")
    assert bundle.graded_by("bulging") == (MEASURED,) and bundle.graded_by("canal_stenosis") == (GRADER,)
    assert bundle.evidence("canal_stenosis") == "real"
    assert bundle.metadata["data"] == "drawn; see config.yaml of the runs"


def test_an_export_says_what_its_grader_decides_and_whose_calibration_holds(
    exported: Path, grader_run: Path, tmp_path: Path
) -> None:
    config = ExportConfig(out=str(tmp_path / "new"), start=str(exported / "bundle"), graders=[str(grader_run)])
    (tmp_path / "new").mkdir()
    said = export_run(config, tmp_path / "new")
    assert "grader.onnx: canal_stenosis; not calibrated, so that no such grade is stood by" in said[-2]
    assert said[-1] == "learnt by the graders too, but decided by other parts: bulging"


@pytest.mark.parametrize(
    ("made_by", "telling", "key", "right"),
    [
        ("discs", {"augment": {"other_series": 0.3}}, "graders", "discs=[RUN]"),
        ("grader", {"augment": {"midline_slices": 2}}, "discs", "graders=[RUN]"),
        ("segmenter", {"randomise": {"saturate": 0.1}}, "locator", "segmenter=RUN"),
    ],
)
def test_a_run_of_another_kind_is_named_with_the_key_that_takes_it(
    tiny_bundle: Bundle, tmp_path: Path, made_by: str, telling: Any, key: str, right: str
) -> None:
    run = run_folder(tmp_path / "run", {}, {})
    OmegaConf.save(OmegaConf.merge(OmegaConf.load(run / "config.yaml"), telling), run / "config.yaml")
    named = {key: [str(run)] if key in ("graders", "discs") else str(run)}
    config = ExportConfig(out=str(tmp_path), start=str(tiny_bundle.path), facts=FACTS, **named)
    with pytest.raises(ConfigError, match=re.escape(f"run: a run of spinenet train {made_by}, so not {key}=")) as told:
        export_run(config, tmp_path)
    assert str(told.value).endswith(f"name it by {right}")


def test_the_configuration_of_every_training_tells_its_kind(tmp_path: Path) -> None:
    trainings = {"grader": TrainGraderConfig, "discs": TrainDiscsConfig, "locator": TrainLocatorConfig}
    trainings |= {"segmenter": TrainSegmenterConfig, "measured": TrainMeasuredConfig}
    for kind, training in trainings.items():
        OmegaConf.save(OmegaConf.structured(training), tmp_path / "config.yaml")
        assert kind_of_run(tmp_path) == kind


def test_several_networks_become_one_that_says_their_geometric_mean() -> None:
    shown = {"present_LV": np.array([[0, 1], [1, 0], [0, 1]], np.float32)}
    joint = onnxruntime.InferenceSession(mean_of_networks([constant_network(0.2), constant_network(0.6)]))
    said = np.exp(joint.run(["narrowing"], shown)[0])
    expected = np.sqrt([0.8 * 0.4, 0.2 * 0.6])
    np.testing.assert_allclose(said, np.tile(expected / expected.sum(), (3, 1)), rtol=1e-5)


def test_a_run_without_its_part_is_named(tiny_bundle: Bundle, tmp_path: Path) -> None:
    empty = run_folder(tmp_path / "empty", {}, {})
    config = ExportConfig(out=str(tmp_path / "o"), start=str(tiny_bundle.path), segmenter=str(empty), facts=FACTS)
    with pytest.raises(ConfigError, match=r"empty: not a finished run \(segmenter\.onnx is missing\)"):
        export_run(config, tmp_path / "o")


@pytest.mark.parametrize(
    ("named", "lacking"),
    [
        ({"graders": ["g"], "start": None}, "locator="),
        ({"measured": "m"}, "segmenter="),
        ({"segmenter": "s", "start": None}, "start="),
    ],
)
def test_what_a_run_needs_beside_it_is_named(tiny_bundle: Bundle, tmp_path: Path, named: Any, lacking: str) -> None:
    config = ExportConfig(out=str(tmp_path), facts=FACTS, **{"start": str(tiny_bundle.path), **named})
    with pytest.raises(ConfigError, match=lacking):
        export_run(config, tmp_path)


def test_the_canals_area_says_no_more_of_another_grader_or_other_outlines(
    exported: Path, grader_run: Path, tmp_path: Path
) -> None:
    before = load_bundle(exported / "bundle")
    by_area = OrdinalLine((0.5, -1.0, -1.0), (-7.0, -4.0))
    lines = CanalByArea(by_area, by_area, OrdinalLine((0.5,), (-1.0, 2.0)))
    facts = {key: value for key, value in before.metadata.items() if key not in ("calibration", "sha256")}
    facts[KEY] = lines.to_dict()
    start = str(write_bundle(tmp_path / "lines", before.parts, before.spec, before.calibration, facts))
    assert load_bundle(Path(start)).canal_by_area == lines
    sac = run_folder(tmp_path / "sac", {SAC: b"outlines of sacs"}, {})
    for name, named, kept in (
        ("other sacs", {"sac": str(sac)}, None),
        ("outlines", {"segmenter": str(tmp_path / "s")}, None),
        ("grader", {"graders": [str(grader_run)]}, None),
    ):
        (tmp_path / name).mkdir()
        export_run(ExportConfig(out=str(tmp_path / name), start=start, facts=FACTS, **named), tmp_path / name)
        assert load_bundle(tmp_path / name / "bundle").canal_by_area == kept


def test_a_segmenter_of_sacs_joins_a_bundle_and_stays_when_other_parts_come(exported: Path, tmp_path: Path) -> None:
    sac = run_folder(tmp_path / "sac", {SAC: b"outlines of sacs"}, {})
    start = load_bundle(exported / "bundle")
    for name, named in (("with", {"sac": str(sac)}), ("later", {"segmenter": str(tmp_path / "s")})):
        (tmp_path / name).mkdir()
        export_run(ExportConfig(out=str(tmp_path / name), start=str(start.path), facts=FACTS, **named), tmp_path / name)
        start = load_bundle(tmp_path / name / "bundle")
        assert start.parts[SAC] == b"outlines of sacs" and start.outlines_sacs
    assert start.graded_by("narrowing") == (MEASURED, DISCS)


def test_a_run_of_sacs_is_no_segmenter_of_discs(tmp_path: Path) -> None:
    OmegaConf.save(OmegaConf.structured(TrainSegmenterConfig(outlines="sac")), tmp_path / "config.yaml")
    with pytest.raises(ConfigError, match="name it by sac=RUN"):
        export_run(ExportConfig(out=str(tmp_path), start="default", segmenter=str(tmp_path), facts=FACTS), tmp_path)
    with pytest.raises(ValueError, match="outlines is cord; choose one of disc, sac"):
        TrainSegmenterConfig(outlines="cord")
