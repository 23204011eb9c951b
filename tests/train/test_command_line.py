"""``spinenet train`` and its like: from any folder; help needs no extra, and one that lacks is named."""

import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from typer.testing import CliRunner

from spinenet.cli import app
from spinenet.train import commands
from spinenet.train.command_line import COMMANDS


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["spinenet"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    GlobalHydra.instance().clear()


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_knows_its_keys_and_what_it_needs(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, [*words, "--cfg", "job"])
    assert done.exit_code == 0 and "out: " in done.stdout
    assert " ".join(COMMANDS[words][2].split()[:3]) in CliRunner().invoke(app, [*words[:-1], "--help"]).stdout


def test_a_wrong_key_ends_in_one_line_that_begins_with_the_command() -> None:
    done = CliRunner().invoke(app, ["train", "grader", "fit.epohcs=3"])
    assert done.exit_code == 2
    assert done.stderr.startswith("spinenet train grader: ") and "epohcs" in done.stderr
    assert done.stderr.count("\n") == 1


def test_help_needs_the_base_install_alone() -> None:
    lines = [
        "import sys",
        "sys.modules |= dict.fromkeys(['hydra', 'omegaconf', 'yaml', 'pandas', 'sklearn', 'matplotlib', 'torch'])",
        "from typer.testing import CliRunner",
        "from spinenet.cli import app",
        f"for words in {[*COMMANDS, ('accept',), ('monitor',), ('listen',)]}:",
        "    done = CliRunner().invoke(app, [*words, '--help'])",
        "    assert done.exit_code == 0 and 'older' in done.stdout, (words, done.output)",
        "done = CliRunner().invoke(app, ['train', 'grader'])",
        "assert done.exit_code == 2 and \"pip install 'spinenet-mri[train]'\" in done.stderr, done.output",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_extra_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking() -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(commands, "train_grader", lacking)
    done = CliRunner().invoke(app, ["train", "grader"])
    assert done.exit_code == 2
    said = "spinenet: train grader needs torch, which is not installed: pip install 'spinenet-mri[train]'\n"
    assert done.stderr == said


def test_a_module_of_ours_that_is_missing_stays_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ModuleNotFoundError("No module named 'spinenet.tarin'", name="spinenet.tarin")

    monkeypatch.setattr(commands, "export", broken)
    assert isinstance(CliRunner().invoke(app, ["export"]).exception, ModuleNotFoundError)
