"""Configurations: every YAML file fits its dataclass, one word shrinks a run, and a mistake ends in one clear line."""

import errno
import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from spinenet.train import commands
from spinenet.train.command_line import COMMANDS
from spinenet.train.config_keys import CONFIG_DIR, SCHEMAS
from spinenet.train.hydra_command import one_line, register, to_dataclass

ROOT = Path(__file__).parents[2]
MAIN_FILES = sorted(path.stem for path in CONFIG_DIR.glob("*.yaml"))


def choices(group: str, pattern: str = "*") -> list[str]:
    return sorted(path.stem for path in (CONFIG_DIR / group).glob(f"{pattern}.yaml"))


REQUIRED = {"export": ["out=o", "graders=[g]", "locator=l"], "train_measured": ["segmenters=[s]"]}
COMPOSITIONS = [(name, REQUIRED.get(name, [])) for name in MAIN_FILES]
COMPOSITIONS += [
    ("export", [*REQUIRED["export"], f"experiment={choice}"]) for choice in choices("experiment", "*bundle")
]
COMPOSITIONS += [
    (f"train_{network}", [f"{group}={choice}"])
    for network in ("locator", "grader", "segmenter", "discs")
    for group, pattern in (
        ("data", "*"),
        ("model", f"{network}*"),
        ("experiment", f"*{network}"),
        *((group, "*") for group in ("debug", "trainer", "callbacks", "logger", "paths")),
    )
    for choice in choices(group, pattern)
]
COMPOSITIONS += [("train_measured", [*REQUIRED["train_measured"], "experiment=measured"])]
COMPOSITIONS += [("train_segmenter", ["data=sacs", "experiment=sac"])]
COMPOSITIONS += [("train_grader", [f"hparams_search={choice}"]) for choice in choices("hparams_search")]
COMPOSITIONS += [
    (name, [f"data={choice}"]) for name in ("evaluate", "prepare_data", "compare_models") for choice in choices("data")
]


def load_script(name: str) -> ModuleType:
    """A script as a module: importing it registers its dataclass with Hydra."""
    spec = importlib.util.spec_from_file_location(f"script_{name}", ROOT / "scripts" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def scripts() -> dict[str, Callable[[], None]]:
    """Name of a configuration -> the command that reads it: of ``spinenet``, or a script's."""
    own = {name: getattr(commands, name) for name, _, _ in COMMANDS.values()}
    return own | {name: load_script(name).main for name in MAIN_FILES if name not in own}


@pytest.fixture
def composed(scripts: dict[str, Callable[[], None]]) -> Iterator[Any]:
    """``composed("train_grader", "debug=fast")``: the validated dataclass, as the script's main receives it."""

    def make(name: str, *overrides: str) -> Any:
        register()
        with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
            found = compose(name, list(overrides))
        return to_dataclass(SCHEMAS[name], found)

    yield make
    GlobalHydra.instance().clear()


@pytest.fixture
def refused(
    scripts: dict[str, Callable[[], None]], monkeypatch: pytest.MonkeyPatch, capfd: Any, tmp_path: Path
) -> Iterator[Any]:
    """``refused("train_grader", "fit.epochs=x")``: the one line with which the command ends."""

    def run(name: str, *overrides: str) -> str:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *overrides])
        with pytest.raises(SystemExit) as stop:
            scripts[name]()
        printed = capfd.readouterr()
        assert stop.value.code == 2 and printed.out == ""
        assert printed.err.count("\n") == 1 and printed.err.startswith(f"{name}.py: ")
        return printed.err

    yield run
    GlobalHydra.instance().clear()


def test_every_choice_of_every_group_is_tried() -> None:
    tried = {override for _, overrides in COMPOSITIONS for override in overrides}
    files = [path for path in CONFIG_DIR.rglob("*.yaml") if path.parent != CONFIG_DIR]
    assert {f"{path.parent.name}={path.stem}" for path in files} <= tried


def test_every_configuration_has_a_command_or_a_script_of_its_name() -> None:
    own = {name for name, _, _ in COMMANDS.values()}
    written = {path.stem for path in (ROOT / "scripts").glob("*.py")}
    assert set(MAIN_FILES) <= own | written


@pytest.mark.parametrize("name", sorted(name for name, _, _ in COMMANDS.values()))
def test_a_script_of_a_commands_name_is_that_command(name: str) -> None:
    assert load_script(name).main is getattr(commands, name)


@pytest.mark.parametrize(("name", "overrides"), COMPOSITIONS, ids=lambda value: "+".join(value) if value else "-")
def test_every_file_fits_the_dataclass_it_fills(composed: Any, name: str, overrides: list[str]) -> None:
    assert not OmegaConf.missing_keys(OmegaConf.structured(composed(name, *overrides)))


@pytest.mark.parametrize("network", ["locator", "grader", "discs"])
@pytest.mark.parametrize(
    ("mode", "changed"),
    [
        ("none", {}),
        ("fast", {"fit": {"epochs": 1, "steps": 0, "max_batches": 2}}),
        (
            "overfit",
            {"fit": {"epochs": 60, "steps": 0, "overfit_batches": 1}, "callbacks": {"patience": 0, "average": 0.0}},
        ),
    ],
)
def test_a_debug_mode_changes_what_it_says_and_nothing_else(
    composed: Any, network: str, mode: str, changed: dict[str, dict[str, float]]
) -> None:
    plain, debug = (asdict(composed(f"train_{network}", *overrides)) for overrides in ([], [f"debug={mode}"]))
    assert debug == {
        **plain,
        "out": debug["out"],
        **{group: {**plain[group], **keys} for group, keys in changed.items()},
    }
    assert (debug["out"] == plain["out"]) == (mode == "none")  # what is tried out never gets in a run's way


@pytest.mark.parametrize(
    ("network", "choice"),
    [(network, choice) for network in ("grader", "discs") for choice in choices("experiment", f"*{network}")],
)
def test_debug_shrinks_every_experiment(composed: Any, network: str, choice: str) -> None:
    config = composed(f"train_{network}", f"experiment={choice}", "debug=fast")
    assert (config.fit.epochs, config.fit.steps, config.fit.max_batches) == (1, 0, 2)


def test_what_is_typed_wins_over_files(composed: Any) -> None:
    config = composed("train_grader", "debug=fast", "fit.epochs=7", "data=phantom", "data.root=/elsewhere")
    assert (config.fit.epochs, config.data.name, config.data.root) == (7, "phantom", "/elsewhere")


def test_a_saved_configuration_gives_the_same_run_again(composed: Any, tmp_path: Path) -> None:
    from spinenet.train.run_folder import save_config
    from spinenet.train.training_config import TrainGraderConfig

    config = composed("train_grader", "seed=3", "augment.zoom=0.1", "crop.rows=48")
    save_config(config, tmp_path)
    assert to_dataclass(TrainGraderConfig, OmegaConf.load(tmp_path / "config.yaml")) == config


@pytest.mark.parametrize(
    ("name", "override", "said"),
    [
        ("train_grader", "fit.epohcs=3", "epohcs"),
        ("train_grader", "+nothing=1", "nothing"),
        ("train_grader", "fit.epochs=many", "fit.epochs"),
        ("train_grader", "fit.epochs=0", "fit.epochs"),
        ("train_grader", "callbacks.average=1.5", "callbacks.average"),
        ("train_grader", "data.fold=9", "data.fold"),
        ("train_grader", "trainer.accelerator=abacus", "trainer.accelerator is abacus; choose one of auto, cpu, gpu"),
        ("train_grader", "trainer.strategy=telepathy", "trainer.strategy is telepathy; choose one of auto, ddp"),
        ("train_grader", "trainer.precision=fp8", "trainer.precision is fp8; choose one of 32-true"),
        ("train_grader", "model.kind=vit", "model.kind is vit, no grader; choose one of attention"),
        ("train_grader", "model=locator", "model.kind is unet, no grader"),
        ("train_locator", "model=grader", "features"),
        ("train_grader", "data=nowhere", "data has no choice nowhere, but joint, label_images"),
        ("train_discs", "model.weights=thought", "model.weights is thought; choose one of imagenet, random"),
        ("train_discs", "model.width=30", "multiple of 4"),
        ("train_discs", "crop.rows=100", "multiples of 32"),
        ("train_discs", "fit.freeze_after=2", "fit.freeze_after"),
        ("train_discs", "+loss.targets.fracture=1", "loss.targets names what is no target: fracture"),
        ("train_grader", "data=spidr", "; is spider meant?"),
        ("train_grader", "data.root=/nowhere/at/all", "not SPIDER's layout"),
        ("train_grader", "fit.epochs", "a key takes a value: fit.epochs=VALUE"),
        ("train_grader", "out=", "out= is empty"),
        ("train_grader", "zzz=1", "--help lists the keys"),
        ("train_locator", "model.features=3", "features"),
        ("train_locator", "resume=perhaps", "resume"),
        ("train_grader", "labels=reader", "labels is reader; choose truth or rater"),
        ("evaluate", "readers=grades.csv", "Key 'readers' not in 'EvaluateConfig'; is raters meant?"),
        ("evaluate", "samples=7", "samples"),
        ("evaluate", "seed=1", "name either runs"),
        ("evaluate", "runs=[/nowhere]", "/nowhere"),
        ("evaluate", "runs=/nowhere", "runs takes a list: 'runs=[A,B]'"),
        ("train_measured", "seed=1", "segmenters=... is missing; --help says what it is"),
        ("prepare_data", "data.root=/nowhere/at/all", "not SPIDER's layout"),
    ],
)
def test_a_mistake_ends_in_one_line_that_names_it(refused: Any, name: str, override: str, said: str) -> None:
    assert said in refused(name, override)


def test_help_explains_every_key_and_names_every_choice(
    scripts: dict[str, Callable[[], None]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["train_grader.py", "--help"])
    scripts["train_grader"]()
    said = capsys.readouterr().out
    for word in (
        "trainer: auto, cpu, ddp",
        "fit.epochs = 30",
        "optimiser steps",
        "crop.rows = 64",
        "hparams_search: optuna",
    ):
        assert word in said, word


def test_help_tells_the_defaults_that_a_network_has_of_its_own(
    scripts: dict[str, Callable[[], None]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["train_discs.py", "--help"])
    scripts["train_discs"]()
    said = capsys.readouterr().out
    for word in ("model: discs, discs_small, grader", "crop.rows = 96", "fit.steps = 450", "augment.mix = 0.5"):
        assert word in said, word


def test_a_path_may_begin_at_home_and_a_value_that_needs_quotes_is_told(refused: Any, composed: Any) -> None:
    assert composed("train_grader", "data.root='~/spider'").data.root == str(Path.home() / "spider")
    assert """needs quotes: 'out="/x/lr=3"'""" in refused("train_grader", "out=/x/lr=3")
    assert """needs quotes: 'out="~/x"'""" in refused("train_grader", "out=~/x")
    for value in ("a(1)", "a,b", "a=b"):
        assert f"""out={value}: not understood""" in refused("train_grader", f"out={value}"), value
        assert f"""needs quotes: 'out="{value}"'""" in refused("train_grader", f"out={value}"), value


def test_jobs_of_a_multirun_never_share_a_folder(
    scripts: dict[str, Callable[[], None]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folders = []
    monkeypatch.setattr("spinenet.train.commands.refuse_early", lambda config, out: None)
    monkeypatch.setattr("spinenet.train.runs.train_grader", lambda config, out: folders.append((out, config.seed)))
    for out in (str(tmp_path / "one"), str(tmp_path) + "/own${seed}"):
        monkeypatch.setattr(
            sys, "argv", ["train_grader.py", f"out={out}", "--multirun", "seed=3,4", f"hydra.sweep.dir={tmp_path}"]
        )
        GlobalHydra.instance().clear()
        scripts["train_grader"]()
    names = [(out.relative_to(tmp_path).as_posix(), seed) for out, seed in folders]
    assert names == [("one/0", 3), ("one/1", 4), ("own3", 3), ("own4", 4)]


def test_a_forgotten_value_is_named(refused: Any, tmp_path: Path) -> None:
    assert "graders" in refused("export", f"out={tmp_path}", f"locator={tmp_path}")


def test_a_mistake_in_a_real_command_gives_exit_code_2_and_no_traceback(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "make_phantom.py"), "seed=x"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("make_phantom.py: ") and done.stderr.count("\n") == 1
    assert "seed" in done.stderr


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "last.ckpt"), "the disk is full; free some space, then a"),
        (PermissionError(errno.EACCES, "Permission denied", "/runs"), "/runs: permission denied"),
    ],
)
def test_what_the_disk_refuses_ends_in_one_line(
    refused: Any, monkeypatch: pytest.MonkeyPatch, error: OSError, said: str
) -> None:
    def refuse(*of: object) -> None:
        raise error

    monkeypatch.setattr("spinenet.train.commands.refuse_early", refuse)
    assert said in refused("train_grader")


def test_an_error_without_text_is_named_by_its_kind() -> None:
    assert one_line(ValueError()) == "ValueError"
