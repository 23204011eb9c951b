"""Phantoms and a tiny untrained bundle that many tests share, each made once; one thread, so that jobs do not fight.

Where CI or SPINENET_STRICT is set, a test that is skipped for a reason not in ALLOWED_SKIPS fails: programs that
check our files from outside are installed there, and their absence is a fault. Pages are looked at in a browser:
playwright (extra ``dev``) and a Chromium of the system (apt-get install chromium).
"""

import io
import os
import shutil

os.environ["OMP_NUM_THREADS"] = "1"  # before anything imports torch or numpy

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from spinenet.crops import CropSpec
from spinenet.datasets.masks import locator_classes, on_locator_grid
from spinenet.labels import LEVELS, TARGET, TARGETS, Scale, columns_of
from spinenet.locating.discs import LOCATOR_CLASSES, candidate_slices, locator_grid, normalise, pad_to_multiple
from spinenet.model.bundle import Bundle, load_bundle, write_bundle
from spinenet.model.calibration import NEUTRAL
from spinenet.study import Series
from spinephantom import PhantomStudy, make_study, write_spider, write_spider_tables
from spinephantom.patient.pathology import Mode

SMALL = {"mode": Mode.SCREENING, "axial": False, "size": 256, "slices": 3, "sub_slices": 1, "stir_share": 0.0}
SEEDS = (2, 3, 4, 5, 7, 8)
STENOSIS = [index for index, target in enumerate(TARGETS) if "spider" not in target.labelled_by]
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)
STRICT = bool(os.environ.get("SPINENET_STRICT") or os.environ.get("CI"))
ALLOWED_SKIPS = (
    "SPINENET_SPIDER",  # patients' images are not in the repository
    "this machine has a GPU",  # a test of what is said where there is none
    "no SIGKILL on this system",  # Windows
    "no systemd on this system",  # containers and macOS
)
"""A test may be skipped for a reason that holds one of these."""


def _refuse_skip(report: Any) -> Any:
    """Turn a skip that is not on the list into a failure."""
    reason = str(report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr)
    expected = hasattr(report, "wasxfail") or any(allowed in reason for allowed in ALLOWED_SKIPS)
    if STRICT and report.skipped and not expected:
        report.outcome = "failed"
        report.longrepr = f"{reason}: a skip that is not in ALLOWED_SKIPS of tests/conftest.py"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    return _refuse_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    return _refuse_skip((yield))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    if not CHROMIUM:
        pytest.skip("no Chromium: apt-get install chromium")
    quiet = ["--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=quiet, chromium_sandbox=False)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def phantoms() -> tuple[PhantomStudy, ...]:
    """Small synthetic patients, T1 and T2 each, the sacrum in view."""
    return tuple(make_study(seed, **SMALL) for seed in SEEDS)


@pytest.fixture(scope="session")
def phantom(phantoms: tuple[PhantomStudy, ...]) -> PhantomStudy:
    return phantoms[0]


@pytest.fixture(scope="session")
def phantom_root(phantoms: tuple[PhantomStudy, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The phantoms as patients 1 to 6 in SPIDER's layout, both storage orders among them."""
    root = tmp_path_factory.mktemp("phantoms")
    for index, study in enumerate(phantoms):
        write_spider(study, root, str(index + 1), storage=("PIR", "LPS")[index % 2])
    write_spider_tables(root)
    return root


@pytest.fixture(scope="session")
def angled_study() -> PhantomStudy:
    """A small study of three series, axial stacks along all five discs, and two raters of stenosis: one has called
    everything moderate and one severe."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spinephantom.phantom.AXIAL_SHARES", (1.0, 0.0, 0.0))
        study = make_study(
            7, mode=Mode.SCREENING, size=160, axial_size=96, slices=11, sub_slices=1, stir_share=0.0, pixel="uint16"
        )
    raters_RLT = np.stack([study.grades_LT] * 2)
    raters_RLT[:, :5, STENOSIS] = np.array([1, 2])[:, None, None]
    return replace(study, rater_grades_RLT=raters_RLT)


Masked = tuple[Series, np.ndarray]


@pytest.fixture(scope="session")
def perfect_segmenter() -> Callable[..., Callable[[np.ndarray], np.ndarray]]:
    """``perfect_segmenter((series, mask), ...)``: a locator that answers those series' slices with their masks."""

    def make(*known: Masked) -> Callable[[np.ndarray], np.ndarray]:
        answers: dict[bytes, np.ndarray] = {}
        for series, mask_SRC in known:
            for index in candidate_slices(series):
                grid = locator_grid(series.voxels_SRC[index], series.spacing_mm[1:])
                classes = pad_to_multiple(on_locator_grid(locator_classes(mask_SRC[index]), grid))
                answers[pad_to_multiple(normalise(grid.image_HW)).tobytes()] = classes

        def segment(images_N1HW: np.ndarray) -> np.ndarray:
            classes_NHW = np.stack([answers[image[0].tobytes()] for image in images_N1HW])
            return np.moveaxis(np.eye(len(LOCATOR_CLASSES), dtype=np.float32)[classes_NHW], -1, 1)

        return segment

    return make


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Both networks, tiny, with random weights: ``locator``, ``grader``, ``spec`` and their files in ``folder``."""
    import torch

    from spinenet.train.export import export_grader, export_locator
    from spinenet.train.networks import Grader, Locator

    torch.set_num_threads(1)
    torch.manual_seed(0)
    spec = CropSpec(rows=40, columns=48, pixel_mm=1.3)
    locator, grader = Locator(2).eval(), Grader(width=2, features=16, dropout=0.1, heads=4).eval()
    for parameter in grader.heads.parameters():  # grades far apart, so that a wrong order of levels shows
        torch.nn.init.normal_(parameter, std=2.0)
    folder = tmp_path_factory.mktemp("untrained")
    export_locator(locator, folder / "locator.onnx")
    export_grader([grader], spec, folder / "grader.onnx")
    return SimpleNamespace(locator=locator, grader=grader, spec=spec, folder=folder)


@pytest.fixture(scope="session")
def tiny_bundle(untrained: Any, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The untrained networks as a bundle for the targets that SPIDER labels."""
    networks = {name: (untrained.folder / name).read_bytes() for name in ("locator.onnx", "grader.onnx")}
    calibration = {name: NEUTRAL for name in columns_of("spider").values()}
    facts = {"name": "tiny", "version": "0", "data": "random weights", "licence": "none"}
    return load_bundle(
        write_bundle(tmp_path_factory.mktemp("bundle") / "tiny", networks, untrained.spec, calibration, facts)
    )


@pytest.fixture(scope="session")
def stump_arrays() -> Callable[[tuple[str, ...], tuple[str, ...]], dict[str, np.ndarray]]:
    """Names of features, names of targets -> arrays of a model on measurements that can be checked by hand."""
    return _stump_arrays


@pytest.fixture(scope="session")
def packed() -> Callable[[dict[str, np.ndarray]], bytes]:
    """Arrays as the bytes of an npz."""

    def pack(arrays: dict[str, np.ndarray]) -> bytes:
        stream = io.BytesIO()
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
        return stream.getvalue()

    return pack


def _stump_arrays(names: tuple[str, ...], targets: tuple[str, ...]) -> dict[str, np.ndarray]:
    """One stump a target: the first feature up to 1 is the first grade, above it the last; and two discs to be like."""
    features = len(names)
    questions = [
        (name, cut)
        for name in targets
        for cut in range(len(TARGET[name].grades) - 1 if TARGET[name].scale is Scale.ORDINAL else 1)
    ]
    reference = np.linspace(-2, 2, 5)
    arrays: dict[str, np.ndarray] = {
        "names": np.array(names),
        "forests": np.array(targets),
        "quantile": np.tile(np.linspace(0, 2, 5)[:, None], (1, features)),
        "reference": reference,
        "median": np.ones(features),
        "typical": np.ones((len(LEVELS), features)),
        "question_names": np.array([name for name, _ in questions]),
        "question_cuts": np.array([cut for _, cut in questions]),
        "anchors": np.stack([np.full(features, -1.0), np.full(features, 1.0)]).astype(np.float16),
        "alpha": np.tile(np.array([[-1.0], [1.0]]), (1, len(questions))),
        "middle": np.zeros(len(questions)),
        "platt": np.tile(np.array([[2.0, 0.0]]), (len(questions), 1)),
        "gamma": np.array(0.1),
    }
    for name in targets:
        grades = len(TARGET[name].grades)
        value = np.zeros((3, grades))
        value[1, 0] = value[2, -1] = 250
        arrays |= {
            f"{name}_root": np.array([0]),
            f"{name}_feature": np.array([0, -1, -1]),
            f"{name}_cut": np.array([1.0, 0, 0]),
            f"{name}_left": np.array([1, 0, 0]),
            f"{name}_right": np.array([2, 0, 0]),
            f"{name}_value": value.astype(np.uint8),
            f"{name}_types": np.full(grades - 1, 1 / (grades - 1)),
        }
    return arrays
