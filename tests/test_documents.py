"""The documents beside the code: links lead somewhere, commands exist, and the front door stays one."""

import re
from pathlib import Path
from typing import Any

import pytest

from spinenet.cli import app
from spinenet.labels import RESEARCH_ONLY
from spinenet.train.command_line import COMMANDS

ROOT = Path(__file__).parents[1]
FRONT = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "data/README.md", "notebooks/README.md")
PAGES = sorted((ROOT / "docs").rglob("*.md"))
DOCUMENTS = [*(ROOT / name for name in FRONT), *PAGES]
OWN_COMMANDS = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
OWN_COMMANDS |= {words[0] for words in COMMANDS}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", document.read_text(encoding="utf-8"))
    local = [link for link in links if not re.match(r"https?://|mailto:", link)]
    assert [link for link in local if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_and_script_that_is_named_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    scripts = re.findall(r"(?:python|bash|source) (scripts/\S+?\.(?:py|sh))", text)
    assert [script for script in scripts if not (ROOT / script).is_file()] == []
    code = "\n".join([*re.findall(r"```.*?```", text, re.DOTALL), *re.findall(r"`[^`\n]+`", text)])
    commands = re.findall(r"^`?\s*spinenet ([a-z]+)", code, re.MULTILINE)
    assert set(commands) <= OWN_COMMANDS


def test_the_lines_of_python_in_the_readme_run(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(ROOT)
    exec(code, {})
    said = capsys.readouterr().out
    assert RESEARCH_ONLY in said and "L5/S1" in said


def test_the_readme_is_a_front_door() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"> {RESEARCH_ONLY}" in text
    assert len(text.splitlines()) <= 102
