"""The recipes in ``scripts/`` hold together: every line's keys exist, and what it reads was made by a line before it.

Nothing is trained: a stand-in for each program notes how it is called. The documents' lines of training have their keys
checked too.
"""

import functools
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from recipe_environment import marked_environment
from typer.main import get_command

from spinenet.cli import app
from spinenet.train import commands
from spinenet.train.command_line import COMMANDS
from spinenet.train.config_keys import CONFIG_DIR, SCHEMAS
from spinenet.train.hydra_command import register, to_dataclass

ROOT = Path(__file__).parents[2]
Line = list[str]
RECIPES = {
    "make_stenosis_grader.sh": ["SPIDER", "OUT"],
    "make_default_bundle.sh": ["SPIDER", "SUDIRMAN", "OUT", "default"],
    "train_rsna.sh": ["RSNA", "OUT", "trainer=gpu"],
}
"""``train_all.sh`` is the first two."""
STAND_IN = """#!/usr/bin/env bash
printf '%s\\t' {name} "$@" >> {log}
echo >> {log}
for one in "$@"; do # the recipes link what was prepared
  [[ $one != out=* ]] || {{ mkdir -p "${{one#out=}}"; touch "${{one#out=}}/study.npz"; }}
done
"""


@pytest.fixture
def lines_of(tmp_path: Path) -> Callable[[str], list[Line]]:
    """``lines_of(recipe)``: what it would run, in order; its folders lie in ``tmp_path``."""

    def run(recipe: str) -> list[Line]:
        log, folder = tmp_path / "lines", marked_environment(tmp_path / "environment")
        for part in ("bin", "lib"):
            (folder / part).unlink(missing_ok=True)
        (folder / "bin").mkdir()
        for name in ("python", "spinenet"):
            stand_in = folder / "bin" / name
            stand_in.write_text(STAND_IN.format(log=log, name=name))
            stand_in.chmod(0o755)
        for name in ("SPIDER", "SUDIRMAN", "RSNA/test_images"):
            (tmp_path / name).mkdir(parents=True)
        arguments = [str(tmp_path / one) if one.isupper() else one for one in RECIPES[recipe]]
        environment = {**os.environ, "SPINENET_VENV": str(folder)}
        call = ["bash", str(ROOT / "scripts" / recipe), *arguments]
        done = subprocess.run(call, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [line.split("\t")[:-1] for line in log.read_text().splitlines()]

    return run


@pytest.fixture(autouse=True, scope="module")
def with_hydra() -> Iterator[None]:
    register()
    yield
    GlobalHydra.instance().clear()


@functools.cache
def script(path: str) -> ModuleType:
    """A script as a module, its dataclass known to Hydra."""
    spec = importlib.util.spec_from_file_location(f"recipe_{Path(path).stem}", ROOT / path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    register()
    return module


def accepted(line: Line) -> Any:
    """What the program would begin with: the configuration that its keys compose, or its arguments as they are read."""
    program, *words = line
    if program == "python":
        module = script(words[0])
        if Path(words[0]).stem not in SCHEMAS:
            own = typer.Typer()
            own.command()(module.main)
            return get_command(own).make_context(words[0], words[1:])
        name, keys = Path(words[0]).stem, words[1:]
    elif found := next((one for one in COMMANDS if tuple(words[: len(one)]) == one), None):
        name, keys = COMMANDS[found][0], words[len(found) :]
        assert hasattr(commands, name)
    else:
        group: Any = get_command(app)
        return group.commands[words[0]].make_context(words[0], words[1:])
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        found_keys = [key for key in keys if not key.startswith("-")]
        return to_dataclass(SCHEMAS[name], compose(name, found_keys, return_hydra_config=False))


def made_by(line: Line) -> list[str]:
    """Folders or files that a line writes."""
    if "--out" in line:
        return [line[line.index("--out") + 1]]
    return [one.removeprefix("out=") for one in line if one.startswith("out=")]


def read_by(line: Line, out: Path) -> list[str]:
    """What a line names below ``out`` and does not write itself."""
    named = re.findall(re.escape(str(out)) + r"/[^,\]'\"\n]+", "\n".join(line))
    return [one for one in named if one not in made_by(line)]


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_line_of_a_recipe_has_keys_that_exist_and_reads_what_was_made(
    lines_of: Callable[[str], list[Line]], tmp_path: Path, recipe: str
) -> None:
    lines, made = lines_of(recipe), [str(tmp_path / "OUT" / "prepared")]
    assert len(lines) > 10
    tried = set()  # folds differ in numbers alone
    for line in lines:
        if (alike := re.sub(r"\d+", "0", str(line))) not in tried:
            tried.add(alike)
            accepted(line)
        unmade = [one for one in read_by(line, tmp_path / "OUT") if not one.startswith(tuple(made))]
        assert not unmade, (unmade, line)
        made += made_by(line)


def filled(words: Line) -> Line:
    """A line as it runs once: the first of what is swept, a number for a variable of the shell's."""
    once = [re.sub(r"\$fold", "0", one) for one in words]
    return [re.sub(r"=([^\[,]*),.*", r"=\1", one) for one in once] if "--multirun" in words else once


def documented() -> Iterator[Any]:
    """Lines of training in the documents, without those of a network that the reader adds."""
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for block in re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            for text in re.sub(r"\\\n\s*", " ", block).splitlines():
                words = shlex.split(text, comments=True)
                known = [one for one in COMMANDS if tuple(words[1 : 1 + len(one)]) == one]
                if words[:1] == ["spinenet"] and known and not {"...", "model.kind=mine"} & set(words):
                    yield pytest.param(filled(words), id=f"{page.stem}: {' '.join(words[1:])}"[:90])


@pytest.mark.parametrize("line", documented())
def test_every_line_of_training_in_the_documents_has_keys_that_exist(line: Line) -> None:
    accepted(line)
