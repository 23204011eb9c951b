"""Bundles: what is opened is exactly what was written, or it is refused."""

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from spinenet.crops import CropSpec, build_bag
from spinenet.datasets.masks import locate_from_mask
from spinenet.errors import BundleError
from spinenet.labels import LEVELS, TARGET, TARGET_INDEX, TARGETS, VIEWS, columns_of
from spinenet.model import bundle
from spinenet.model.bundle import NEEDED, load_bundle, write_bundle
from spinenet.model.calibration import NEUTRAL, TargetCalibration
from spinephantom import PhantomStudy

SPEC = CropSpec(rows=40, columns=48, pixel_mm=1.3)
CALIBRATION = {
    "pfirrmann": TargetCalibration(0.6, -0.2, (0.4, 1.6, 2.5, 3.3), (0.7, None)),
    "herniation": TargetCalibration(1.1, cuts=(0.12,), abstain_below=0.0),
    "modic": NEUTRAL,
}
FACTS = {
    "name": "test",
    "version": "1.2",
    "data": "SPIDER, kept “as is”",
    "licence": "CC BY 4.0",
    "metrics": {"auc": 0.9},
}
FILES = ("model.json", *NEEDED)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    networks = {name: name.encode() * 20 for name in NEEDED}
    return write_bundle(tmp_path / "bundle", networks, SPEC, CALIBRATION, FACTS)


def test_what_is_written_is_read_back(folder: Path) -> None:
    opened = load_bundle(folder)
    assert opened.spec == SPEC and opened.calibration == CALIBRATION
    assert (opened.name, opened.version, opened.targets) == ("test", "1.2", ("pfirrmann", "herniation", "modic"))
    assert opened.parts == {name: name.encode() * 20 for name in NEEDED}
    assert {key: opened.metadata[key] for key in FACTS} == FACTS


def test_a_bundle_is_three_files(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)


@pytest.mark.parametrize("inside", ["", "bundle/"])
def test_a_zip_of_a_bundle_is_a_bundle(folder: Path, tmp_path: Path, inside: str) -> None:
    path = tmp_path / "bundle.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in FILES:
            archive.write(folder / name, inside + name)
    zipped, plain = load_bundle(path), load_bundle(folder)
    assert (zipped.metadata, zipped.parts, zipped.spec) == (plain.metadata, plain.parts, plain.spec)


@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_anywhere_is_noticed(folder: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    for place in range(0, len(whole), 5):
        changed = bytearray(whole)
        changed[place] ^= 1
        (folder / name).write_bytes(changed)
        with pytest.raises(BundleError, match=name):
            load_bundle(folder)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("change", [lambda content: content[:-1], lambda content: content + b" ", lambda content: b""])
def test_a_file_cut_short_or_grown_is_noticed(folder: Path, name: str, change) -> None:
    (folder / name).write_bytes(change((folder / name).read_bytes()))
    with pytest.raises(BundleError, match=name):
        load_bundle(folder)


def test_one_bundles_networks_are_refused_beside_anothers_model_json(folder: Path, tmp_path: Path) -> None:
    networks = {name: b"another" for name in NEEDED}
    other = write_bundle(tmp_path / "other", networks, SPEC, CALIBRATION, FACTS)
    (folder / "grader.onnx").write_bytes((other / "grader.onnx").read_bytes())
    with pytest.raises(BundleError, match="grader.onnx was altered"):
        load_bundle(folder)


def test_a_calibration_edited_by_hand_is_noticed(folder: Path) -> None:
    path = folder / "model.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    values["calibration"]["herniation"]["cuts"] = [0.9]
    path.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    with pytest.raises(BundleError, match="model.json was altered"):
        load_bundle(folder)


def of_space(folder: Path, **changes: object) -> Path:
    """A bundle whose networks were exported in a label space with these changes."""
    facts = {**FACTS, "label_space": {**bundle.label_space(), **changes}}
    return write_bundle(folder, dict.fromkeys(NEEDED, b""), SPEC, CALIBRATION, facts)


@pytest.mark.parametrize("other", [{"levels": list(LEVELS[1:])}, {"inputs": ["crops"]}, {"views": ["axial_t2"]}])
def test_a_bundle_with_other_levels_views_or_inputs_is_refused(tmp_path: Path, other: dict[str, object]) -> None:
    with pytest.raises(BundleError, match="another version"):
        load_bundle(of_space(tmp_path / "b", **other))


def test_a_bundle_that_grades_what_is_not_known_is_refused_by_name(tmp_path: Path) -> None:
    targets = {**bundle.label_space()["targets"], "pfirrmann": [1, 2, 3, 4]}
    with pytest.raises(BundleError, match=r"does not have \(pfirrmann \[1, 2, 3, 4\]\)") as refused:
        load_bundle(of_space(tmp_path / "scale", targets=targets))
    assert "\n" not in str(refused.value)
    facts = {**FACTS, "label_space": {**bundle.label_space(), "targets": {"cyst": [0, 1]}}}
    calibration = {"cyst": CALIBRATION["herniation"]}
    folder = write_bundle(tmp_path / "b", dict.fromkeys(NEEDED, b""), SPEC, calibration, facts)
    with pytest.raises(BundleError, match=r"does not have \(cyst \[0, 1\]\)"):
        load_bundle(folder)


def test_what_a_bundle_does_not_grade_may_be_unknown_here(tmp_path: Path) -> None:
    targets = {"cyst": [0, 1], **bundle.label_space()["targets"]}
    opened = load_bundle(of_space(tmp_path / "b", targets=targets))
    assert set(opened.targets) == set(CALIBRATION)


def test_outputs_of_an_older_bundle_are_matched_by_name(
    tiny_bundle: bundle.Bundle, phantom: PhantomStudy, tmp_path: Path
) -> None:
    """The label space of an older bundle lacked a target and had others in another order."""
    names = [name for name in reversed(TARGET) if name != "bulging"]
    networks = {**tiny_bundle.parts, "grader.onnx": reordered(tiny_bundle.parts["grader.onnx"], names)}
    facts = {**FACTS, "label_space": {**bundle.label_space(), "targets": {name: TARGET[name].grades for name in names}}}
    calibration = {name: one for name, one in tiny_bundle.calibration.items() if name != "bulging"}
    older = load_bundle(write_bundle(tmp_path / "older", networks, tiny_bundle.spec, calibration, facts))
    bag = build_bag([locate_from_mask(item.series, item.mask_SRC) for item in phantom.series], tiny_bundle.spec)
    (logp_LTK, shares_LST), (expected_LTK, expected_LST) = older.grade(bag), tiny_bundle.grade(bag)
    graded = [TARGET_INDEX[name] for name in older.targets]
    assert "bulging" in older.not_graded and np.isnan(logp_LTK[:, TARGET_INDEX["bulging"]]).all()
    assert np.array_equal(logp_LTK[:, graded], expected_LTK[:, graded])
    assert np.array_equal(shares_LST[..., graded], expected_LST[..., graded])


def reordered(grader: bytes, names: list[str]) -> bytes:
    """A grader whose outputs hold these targets in this order."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(grader)
    places = onnx.numpy_helper.from_array(np.array([TARGET_INDEX[name] for name in names]), "places")
    model.graph.initializer.append(places)
    for output, axis in zip(model.graph.output, (2, 3), strict=True):
        before = f"{output.name}_before"
        for node in model.graph.node:
            for index, name in enumerate(node.output):
                if name == output.name:
                    node.output[index] = before
        model.graph.node.append(onnx.helper.make_node("Gather", [before, "places"], [output.name], axis=axis))
        output.type.tensor_type.shape.dim[axis].dim_value = len(names)
    return model.SerializeToString()


@pytest.mark.parametrize("missing", FILES)
def test_a_bundle_with_a_file_missing_is_refused(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(BundleError, match="not a model bundle"):
        load_bundle(folder)


def test_a_missing_bundle_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such file or folder"):
        load_bundle(tmp_path / "nothing")


def test_a_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    path.write_text("text")
    with pytest.raises(BundleError, match="not a model bundle"):
        load_bundle(path)


def test_nothing_is_written_without_data_and_licence(tmp_path: Path) -> None:
    facts = {key: value for key, value in FACTS.items() if key != "licence"}
    with pytest.raises(BundleError, match="licence"):
        write_bundle(tmp_path / "b", dict.fromkeys(NEEDED, b""), SPEC, CALIBRATION, facts)
    assert not (tmp_path / "b").exists()


def test_a_bundle_segments_any_number_and_size_of_slices(tiny_bundle: bundle.Bundle) -> None:
    images = np.random.default_rng(0).random((3, 1, 64, 48), np.float32)
    probabilities = tiny_bundle.segment(images)
    assert probabilities.shape == (3, 5, 64, 48)
    assert np.allclose(probabilities.sum(1), 1, atol=1e-5)
    assert tiny_bundle.targets == tuple(columns_of("spider").values())


def test_the_bundle_in_the_package_opens_and_says_where_it_comes_from() -> None:
    opened = load_bundle()
    assert set(opened.targets) == {target.name for target in TARGETS} and set(opened.views) == set(VIEWS)
    real = {target.name for target in TARGETS if opened.evidence(target.name) == "real"}
    assert real == set(columns_of("spider").values()), "stenosis was learnt from synthetic studies alone"
    assert sum(path.stat().st_size for path in bundle.DEFAULT.rglob("*") if path.is_file()) < 30e6
    assert "CC BY 4.0" in opened.metadata["licence"] and "SPIDER" in opened.metadata["data"]
    assert opened.metadata["onnx_difference"] < 1e-4 and opened.metadata["metrics"]["targets"]


def resealed(folder: Path, change) -> Path:
    """``model.json`` with other content and a digest that fits."""
    metadata = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    change(metadata)
    text = json.dumps(metadata)
    (folder / "model.json").write_text(text, encoding="utf-8")
    text = text.replace(bundle._DIGEST.search(text)[1], bundle._NO_DIGEST) if bundle._DIGEST.search(text) else text
    (folder / "model.json").write_text(text.replace(bundle._NO_DIGEST, bundle._digest(text)), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "change",
    [
        lambda made: made["crop"].update(rows=1_000_000_000),
        lambda made: made["crop"].update(rows="64"),
        lambda made: made["crop"].update(pixel_mm=0),
        lambda made: made["crop"].update(turned=True),
        lambda made: made["crop"].update(max_slices=10**9),
        lambda made: made.pop("crop"),
        lambda made: made.pop("calibration"),
        lambda made: made.update(calibration=[1, 2]),
        lambda made: made["calibration"]["pfirrmann"].pop("slope", None),
        lambda made: made.update(sha256=None),
        lambda made: made.update(gates={"sagittal_t9": {}}),
        lambda made: made.pop("name"),
        lambda made: made.update(graded_by={"pfirrmann": 3}),
    ],
)
def test_a_model_json_that_was_sealed_again_with_what_no_bundle_holds_is_refused_in_one_line(
    folder: Path, change
) -> None:
    with pytest.raises(BundleError) as raised:
        load_bundle(resealed(folder, change))
    assert "\n" not in str(raised.value)


def test_a_network_that_takes_weights_from_another_file_is_refused(tmp_path: Path, monkeypatch) -> None:
    networks = {name: b"\x0a\x08location\x12\x0b/etc/passwd" for name in NEEDED}
    with pytest.raises(BundleError, match="from another file"):
        write_bundle(tmp_path / "one", networks, SPEC, CALIBRATION, FACTS)
    monkeypatch.setattr(bundle, "_EXTERNAL", b"\x00" * 99)  # as one that the first check does not see
    helper = pytest.importorskip("onnx").helper
    weights = helper.make_tensor("w", 1, [4], [0.0] * 4)
    weights.ClearField("float_data")
    weights.data_location = 1
    weights.external_data.add(key="location", value="secret.bin")
    (tmp_path / "secret.bin").write_bytes(bytes(16))
    ends = [helper.make_tensor_value_info(name, 1, [4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weights])
    network = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()
    monkeypatch.chdir(tmp_path)
    opened = load_bundle(write_bundle(tmp_path / "two", dict.fromkeys(NEEDED, network), SPEC, CALIBRATION, FACTS))
    with pytest.raises(BundleError, match="cannot be opened"):
        opened.segment(np.zeros((1, 1, 32, 32), np.float32))


def test_files_that_inflate_are_locked_or_are_no_files_are_refused(folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(bundle, "MAX_JSON_BYTES", 1 << 20)
    path = tmp_path / "bundle.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.json", bytes(1 << 22))
    with pytest.raises(BundleError, match="larger than that of any bundle"):
        load_bundle(path)
    raw = bytearray(path.read_bytes())
    raw[6] |= 1  # locked, by both headers
    raw[raw.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    with pytest.raises(BundleError, match="not a model bundle"):
        load_bundle(path)
    (folder / "locator.onnx").unlink()
    os.mkfifo(folder / "locator.onnx")
    with pytest.raises(BundleError, match="no file"):
        load_bundle(folder)
