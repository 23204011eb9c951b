"""The model bundle: what was learnt and ``model.json`` in one folder or zip, verified when opened.

``locator.onnx`` finds discs and ``grader.onnx`` grades bags of slices; every bundle has these two. ``segmenter.onnx``
outlines a disc finely enough to measure it, ``sac.onnx`` the dural sac in axial slices, ``measured.npz`` grades the
measurements, ``discs.onnx`` pictures of discs: a target's grade is the mean of what the parts say that ``graded_by``
names. ``model.json`` holds that, the label space of the networks, whose outputs are matched to ours by name, the crop
specs, each target's calibration, training data and licence, metrics, the sha256 of every part and a digest of itself,
so that no changed byte goes unnoticed.
Shape letters: N crops, L level, S slice, T target, K grade, C class, H W pixels.
"""

import hashlib
import json
import os
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from spinenet.checking.quality import UsualSeries
from spinenet.crops import BAG_ARRAYS, Bag, CropSpec, DiscViews
from spinenet.errors import BundleError, StudyError
from spinenet.labels import LEVELS, MAX_GRADES, SAGITTAL_VIEWS, TARGET, TARGET_INDEX, VIEWS, View
from spinenet.locating.discs import LOCATOR_CLASSES
from spinenet.locating.measuring.usual import UsualMeasurements, read_usual_measurements
from spinenet.model.calibration import TargetCalibration
from spinenet.model.canal_by_area import KEY, CanalByArea
from spinenet.model.measured_grader import MeasuredGrader, read_measured_grader
from spinenet.readers.archives import DAMAGE

FORMAT = 1
MAX_NAME = 58
"""Length of name and version: "model " and either go into DICOM attributes of 64 characters."""
LOCATOR, GRADER, SEGMENTER, DISCS = "locator.onnx", "grader.onnx", "segmenter.onnx", "discs.onnx"
MEASURED, SAC = "measured.npz", "sac.onnx"
NEEDED = (LOCATOR, GRADER)
PARTS = (*NEEDED, SEGMENTER, DISCS, MEASURED, SAC)
GRADING = (GRADER, DISCS, MEASURED)
"""Parts that may have a say in a grade."""
DEFAULT = Path(__file__).parent / "default"
MAX_PART_BYTES, MAX_JSON_BYTES = 1 << 28, 1 << 24
"""A part and ``model.json`` of the package's bundle have 8 and 0.1 MB."""
MAX_CROP_PIXELS, MAX_CROP_SLICES = 1024, 256
_EXTERNAL = b"\x0a\x08location"
"""How a network that keeps weights in another file names it (StringStringEntryProto of ONNX)."""
_DIGEST = re.compile(r'"digest": "([0-9a-f]{64})"')
_NO_DIGEST = "0" * 64


@dataclass(frozen=True)
class Bundle:
    """An opened and verified bundle. ``targets`` are the names it grades; ``metadata`` is ``model.json`` as read."""

    path: Path
    metadata: dict[str, Any]
    parts: dict[str, bytes]
    spec: CropSpec
    calibration: dict[str, TargetCalibration]

    @property
    def name(self) -> str:
        """Name of the model."""
        return str(self.metadata["name"])

    @property
    def version(self) -> str:
        """Version of the model."""
        return str(self.metadata["version"])

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the targets it grades."""
        return tuple(self.calibration)

    @property
    def not_graded(self) -> tuple[str, ...]:
        """Names of the targets of the label space that it does not grade."""
        return tuple(name for name in TARGET if name not in self.calibration)

    @property
    def views(self) -> tuple[View, ...]:
        """Views that the grader has learnt from; no other is shown to it."""
        return tuple(View(view) for view in self.metadata.get("views", SAGITTAL_VIEWS))

    @property
    def disc_spec(self) -> CropSpec:
        """Crops that ``discs.onnx`` sees."""
        return CropSpec(**self.metadata["disc_crop"])

    @property
    def measures(self) -> bool:
        """Whether it can outline discs finely enough to measure them."""
        return SEGMENTER in self.parts

    @property
    def outlines_sacs(self) -> bool:
        """Whether it can outline the dural sac in axial slices."""
        return SAC in self.parts

    def graded_by(self, target: str) -> tuple[str, ...]:
        """Parts that have a say in a target's grades."""
        return tuple(self.metadata.get("graded_by", {}).get(target, (GRADER,)))

    def targets_of(self, part: str) -> tuple[str, ...]:
        """Names of the targets that a part has a say in."""
        return tuple(name for name in self.targets if part in self.graded_by(name))

    def read_from(self, target: str) -> tuple[View, ...]:
        """Views that a target's grades are read from; others do not count for it."""
        return tuple(View(view) for view in self.metadata.get("read_from", {}).get(target, VIEWS))

    def evidence(self, target: str) -> str:
        """What a target's grades were learnt from: ``real`` patients or ``synthetic`` studies alone."""
        return str(self.metadata.get("evidence", {}).get(target, "real"))

    @cached_property
    def _sessions(self) -> dict[str, Any]:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # A plan would be kept for every shape ever seen, and shapes differ from study to study.
        options.enable_mem_pattern = False
        # An arena keeps the peak of every network at once: 90 MB more, for 3 to 8 % of the time.
        options.enable_cpu_mem_arena = False
        # One thread a process is as fast as two on a busy machine and leaves the cores to other studies.
        options.intra_op_num_threads = 1
        options.log_severity_level = 4  # what it says of a network that it refuses is said in one line below
        # Weights in other files are refused when a bundle is opened; whatever is missed there finds none.
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", f"{os.devnull}/none")
        networks = {name: content for name, content in self.parts.items() if name.endswith(".onnx")}
        try:
            return {
                name: onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
                for name, content in networks.items()
            }
        except _runtime_errors() as error:
            raise BundleError(f"{self.path}: a network of it cannot be opened ({type(error).__name__})") from error

    @cached_property
    def usual_series(self) -> dict[View, UsualSeries]:
        """What real series of each view look like; empty where the bundle was made without."""
        return {View(view): UsualSeries.from_dict(values) for view, values in self.metadata.get("gates", {}).items()}

    @cached_property
    def canal_by_area(self) -> CanalByArea | None:
        """How the canal's grade follows its measured area; None where the bundle was made without."""
        return CanalByArea.from_dict(self.metadata[KEY]) if KEY in self.metadata else None

    def segment(self, images_N1HW: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, classes, H, W) probabilities of ``locating.discs.LOCATOR_CLASSES``; a slice at a time: less memory."""
        return np.concatenate([self._run(LOCATOR, {"images": image[None]})[0] for image in images_N1HW])

    def outline(self, crops_NHW: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, C, H, W) probabilities of ``measuring.fine_crops.FINE_CLASSES`` on normalised fine crops."""
        return self._run(SEGMENTER, {"crops": crops_NHW[:, None]})[0]

    def outline_sacs(self, crops_NHW: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, C, H, W) probabilities of ``measuring.dural_sac.SAC_CLASSES`` on normalised axial crops."""
        return self._run(SAC, {"crops": crops_NHW[:, None]})[0]

    def grade(self, bag: Bag) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """(L, T, MAX_GRADES) log-probabilities of ``grader.onnx`` before calibration, T all targets of the label space,
        nan where it has no say; and (L, S, T) the share of its attention that each target gave each place of the
        bag, None where it does not say. A bag without levels gets no grades."""
        if not len(bag.level_L):
            return np.zeros((0, len(TARGET), MAX_GRADES), np.float32), None
        logp_BLTK, *attention = self._run(GRADER, bag.inputs())
        ours, theirs = self._places
        logp_LTK = np.full((len(bag.level_L), len(TARGET), MAX_GRADES), np.nan, np.float32)
        logp_LTK[:, ours, : logp_BLTK.shape[-1]] = logp_BLTK[0][:, theirs]
        if not attention:
            return logp_LTK, None
        shares_LST = np.zeros((*bag.mask_LS.shape, len(TARGET)), np.float32)
        shares_LST[..., ours] = attention[0][0][..., theirs]
        return logp_LTK, shares_LST

    @cached_property
    def _places(self) -> tuple[list[int], list[int]]:
        """Where the targets that it grades lie in our label space and among the outputs of ``grader.onnx``."""
        theirs, graded = list(self.metadata["label_space"]["targets"]), self.targets_of(GRADER)
        return [TARGET_INDEX[name] for name in graded], [theirs.index(name) for name in graded]

    def grade_discs(self, views: DiscViews) -> dict[str, NDArray[np.float32]]:
        """target -> (L, K) log-probabilities of ``discs.onnx``; its outputs have the names of the targets."""
        names = [one.name for one in self._sessions[DISCS].get_outputs()]
        answers = dict(zip(names, self._run(DISCS, views.inputs()), strict=True))
        return {name: answers[name] for name in self.targets_of(DISCS)}

    @cached_property
    def measured_grader(self) -> MeasuredGrader | None:
        """The model on measurements, None where the bundle has none."""
        return read_measured_grader(self.parts[MEASURED]) if MEASURED in self.parts else None

    @cached_property
    def usual_measurements(self) -> UsualMeasurements | None:
        """What is usual among the patients it learnt from, None where it does not say."""
        return read_usual_measurements(self.parts[MEASURED]) if MEASURED in self.parts else None

    def _run(self, name: str, inputs: Mapping[str, NDArray[np.generic]]) -> list[NDArray[np.float32]]:
        """Outputs of a network for those of ``inputs`` it wants; StudyError where it cannot run on this study."""
        session = self._sessions[name]
        try:
            return session.run(None, {one.name: inputs[one.name] for one in session.get_inputs()})
        except _runtime_errors() as error:
            raise StudyError(
                f"{name} could not be run on this study ({type(error).__name__}); is it unusually large?"
            ) from error


def _runtime_errors() -> tuple[type[Exception], ...]:
    """ONNX Runtime's own exceptions, which have no base class but Exception."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    graphs = (state.InvalidGraph, state.InvalidProtobuf, state.NoModel, state.NotImplemented, state.NoSuchFile)
    return (state.Fail, state.InvalidArgument, state.RuntimeException, state.EPFail, *graphs)


def label_space() -> dict[str, Any]:
    """What the outputs of a network exported now mean."""
    return {
        "levels": list(LEVELS),
        "views": [view.value for view in VIEWS],
        "targets": {name: list(target.grades) for name, target in TARGET.items()},
        "locator_classes": list(LOCATOR_CLASSES),
        "inputs": list(BAG_ARRAYS),
    }


def _check_fit(path: Path, metadata: Mapping[str, Any]) -> None:
    """BundleError where levels, views or inputs mean something else here, or it grades what is not known here."""
    space, ours = metadata.get("label_space") or {}, label_space()
    same = all(space.get(key) == ours[key] for key in ("levels", "views", "locator_classes"))
    if metadata.get("format") != FORMAT or not same or not set(space.get("inputs", ("?",))) <= set(ours["inputs"]):
        raise BundleError(
            f"{path}: made for another version of spinenet; take a bundle of this one or install that one"
        )
    by_grader = [
        name for name in metadata["calibration"] if GRADER in metadata.get("graded_by", {}).get(name, (GRADER,))
    ]
    scales = {name: (space.get("targets") or {}).get(name) for name in by_grader}
    scales |= {name: ours["targets"].get(name) for name in metadata["calibration"] if name not in by_grader}
    unknown = [f"{name} {scale}" for name, scale in scales.items() if scale != ours["targets"].get(name, "?")]
    if unknown:
        raise BundleError(
            f"{path}: grades what the label space of this spinenet does not have ({'; '.join(unknown)}); "
            "add it there, or install the version that the bundle was made with"
        )


def _check_parts(path: Path, parts: Mapping[str, bytes], metadata: Mapping[str, Any]) -> None:
    """BundleError where a part is named that is missing, or lacks what it goes with."""
    named = {part for graded in metadata.get("graded_by", {}).values() for part in graded}
    if MEASURED in parts:
        named.add(SEGMENTER)
    if missing := named - set(parts):
        raise BundleError(f"{path}: {', '.join(sorted(missing))} is missing; get the bundle again")
    outside = [name for name, content in parts.items() if _EXTERNAL in content]
    if outside:
        raise BundleError(f"{path}: {outside[0]} takes weights from another file; export it as one file")
    if DISCS in parts and "disc_crop" not in metadata:
        raise BundleError(f"{path}: model.json does not say what crops {DISCS} sees; get the bundle again")


def load_bundle(path: Path | None = None) -> Bundle:
    """Open a bundle folder or zip, or the one in the package; BundleError if missing, altered or misfit."""
    path = DEFAULT if path is None else path
    text = _read(path, ("model.json",))["model.json"].decode("utf-8", errors="replace")
    found = _DIGEST.search(text)
    if found is None or found[1] != _digest(text):
        raise BundleError(f"{path}: model.json was altered or is not spinenet's; get the bundle again")
    try:
        return _opened(path, json.loads(text))
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BundleError(
            f"{path}: model.json holds what no bundle does ({type(error).__name__}); get it again"
        ) from error


def _opened(path: Path, metadata: dict[str, Any]) -> Bundle:
    """The bundle that ``model.json`` describes, its parts as they were when they were sealed."""
    _check_fit(path, metadata)
    parts = _read(path, (*NEEDED, *(name for name in PARTS if name in metadata["sha256"] and name not in NEEDED)))
    for name, data in parts.items():
        if hashlib.sha256(data).hexdigest() != metadata["sha256"].get(name):
            raise BundleError(f"{path}: {name} was altered or is incomplete (sha256 differs); get the bundle again")
    _check_parts(path, parts, metadata)
    calibration = {name: TargetCalibration.from_dict(values) for name, values in metadata["calibration"].items()}
    opened = Bundle(path, metadata, parts, CropSpec(**metadata["crop"]), calibration)
    for spec in (opened.spec, *([opened.disc_spec] if DISCS in parts else [])):
        _check_crop(path, spec)
    _ = opened.usual_series, opened.canal_by_area, opened.targets, f"{opened.name} {opened.version}"
    return opened


def _check_crop(path: Path, spec: CropSpec) -> None:
    """BundleError where crops would be larger than any picture of a disc."""
    sizes, slices = (spec.rows, spec.columns), (spec.max_slices, spec.max_axial)
    lengths_mm = [value for name, value in spec.to_dict().items() if name.endswith("_mm")]
    is_sound = all(1 <= size <= MAX_CROP_PIXELS for size in sizes) and all(0 <= n <= MAX_CROP_SLICES for n in slices)
    if (
        not is_sound
        or not all(abs(mm) < MAX_CROP_PIXELS for mm in lengths_mm)
        or min(spec.pixel_mm, spec.axial_pixel_mm) <= 0
    ):
        raise BundleError(
            f"{path}: model.json asks for crops of {spec.rows} x {spec.columns} pixels; get the bundle again"
        )


def write_bundle(
    folder: Path,
    parts: Mapping[str, bytes],
    spec: CropSpec,
    calibration: Mapping[str, TargetCalibration],
    facts: Mapping[str, Any],
) -> Path:
    """Write a bundle folder. ``facts`` must have ``name``, ``version``, ``data`` and ``licence`` and may have more:
    ``disc_crop`` goes with ``discs.onnx``, ``graded_by`` and ``read_from`` with the targets of other parts than the
    grader.

    Networks of an older bundle keep its ``label_space`` among the facts; without one they were exported in ours.
    """
    missing = {"name", "version", "data", "licence"} - set(facts)
    if missing or not set(NEEDED) <= set(parts) <= set(PARTS):
        raise BundleError(f"{folder}: a bundle needs {', '.join(NEEDED)} and the facts {', '.join(sorted(missing))}")
    _check_parts(folder, parts, facts)
    long = [key for key in ("name", "version") if len(str(facts[key])) > MAX_NAME]
    if long:
        raise BundleError(f"{folder}: {' and '.join(long)} of a bundle may have {MAX_NAME} characters")
    folder.mkdir(parents=True, exist_ok=True)
    metadata = {
        **facts,
        "format": FORMAT,
        "digest": _NO_DIGEST,
        "label_space": facts.get("label_space") or label_space(),
        "crop": spec.to_dict(),
        "calibration": {name: one.to_dict() for name, one in calibration.items()},
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in parts.items()},
    }
    for name, data in parts.items():
        (folder / name).write_bytes(data)
    text = json.dumps(metadata, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / "model.json").write_text(text.replace(_NO_DIGEST, _digest(text)), encoding="utf-8")
    return folder


def _digest(text: str) -> str:
    """sha256 of ``model.json`` with the digest itself set to zeros."""
    return hashlib.sha256(_DIGEST.sub(f'"digest": "{_NO_DIGEST}"', text, count=1).encode()).hexdigest()


def _read(path: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    limits = {name: MAX_JSON_BYTES if name.endswith(".json") else MAX_PART_BYTES for name in names}
    try:
        if path.is_file():
            with zipfile.ZipFile(path) as archive:
                inside = {Path(name).name: name for name in archive.namelist()}
                found = {name: _within(archive.open(inside[name]), limit) for name, limit in limits.items()}
        else:
            irregular = [name for name in names if (path / name).exists() and not (path / name).is_file()]
            found = {} if irregular else {name: _within((path / name).open("rb"), n) for name, n in limits.items()}
    except (*DAMAGE, KeyError, zlib.error) as error:
        what = "no such file or folder" if not path.exists() else f"not a model bundle ({', '.join(names)} expected)"
        raise BundleError(f"{path}: {what}; where none is named the one in the package is used") from error
    for name in names:
        if len(found.get(name, b"")) > limits[name] or name not in found:
            raise BundleError(f"{path}: {name} is larger than that of any bundle, or no file; get the bundle again")
    return found


def _within(file: IO[bytes], limit: int) -> bytes:
    """The content of a file, a byte more than ``limit`` of it at most."""
    with file:
        return file.read(limit + 1)
