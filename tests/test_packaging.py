"""What is installed: one version, every import declared, and nothing in the source distribution that is not source."""

import ast
import json
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import spinenet

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DISTRIBUTION_OF = {
    "PIL": "Pillow",
    "dicomweb_client": "dicomweb-client",
    "hydra": "hydra-core",
    "jinja2": "Jinja2",
    "jpeg_ls": "pyjpegls",
    "openjpeg": "pylibjpeg-openjpeg",
    "prometheus_client": "prometheus-client",
    "python_multipart": "python-multipart",
    "pytorch_lightning": "pytorch-lightning",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}
EXTRAS = {
    "evaluate": ("evaluate",),
    "train": ("evaluate", "train"),
    "datasets": ("mha",),
    "readers": ("mha",),
    "report": ("pdf",),
    "serve": ("network", "app"),
}
"""Room -> extras that bring what it imports; the others make do with the base install."""
OPTIONAL = {"api": {"pandas"}, "serve": {"ray"}, "spinephantom": {"numba", "SimpleITK"}}
"""Room -> what it can do without, and says so."""

OWN = {"spinenet", "spinephantom", "__main__"}


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=\[ ;]", one)[0] for one in requirements}


def installed_by(extra: str) -> set[str]:
    """Direct dependencies of the base install and an extra, those of the extras that it names included."""
    requirements = PROJECT["project"]["optional-dependencies"][extra]
    named = [inner for one in requirements if one.startswith("spinenet-mri[") for inner in one[13:-1].split(",")]
    own = names(PROJECT["project"]["dependencies"]) | names(requirements) - {"spinenet-mri"}
    return own.union(*(installed_by(inner) for inner in named))


def room_of(path: Path) -> str:
    parts = path.relative_to(ROOT / "src").with_suffix("").parts
    return parts[1] if parts[0] == "spinenet" else parts[0]


def libraries_of(path: Path) -> set[str]:
    """Distributions that a module imports, wherever in it."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    found |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    tops = {name.split(".")[0] for name in found} - set(sys.stdlib_module_names) - OWN
    return {DISTRIBUTION_OF.get(name, name) for name in tops}


def test_there_is_one_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    log = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert PROJECT["project"]["dynamic"] == ["version"]  # read from spinenet/__init__.py
    assert citation["version"] == spinenet.__version__
    assert re.search(r"^## \[(\d[^\]]*)\]", log, re.MULTILINE)[1] == spinenet.__version__  # type: ignore[index]


def test_every_released_version_has_its_date() -> None:
    log = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", log, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", one) for one in headings[1:])


@pytest.mark.parametrize("room", sorted({room_of(path) for path in (ROOT / "src").rglob("*.py")}))
def test_what_a_room_imports_is_declared_where_it_is_used(room: str) -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    declared = names(PROJECT["project"]["dependencies"]).union(*(names(extras[one]) for one in EXTRAS.get(room, ())))
    paths = [path for path in (ROOT / "src").rglob("*.py") if room_of(path) == room]
    used = set().union(*map(libraries_of, paths))
    lower = {name.lower() for name in declared | OPTIONAL.get(room, set())}
    assert {name for name in used if name.lower() not in lower} == set()


def test_every_direct_dependency_is_pinned_for_the_tests() -> None:
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    assert {name for name in installed_by("dev") if name.lower() not in pinned} == set()


def test_a_skip_that_is_not_on_the_list_fails_where_all_programs_are_installed(
    pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins = pytestconfig.pluginmanager.get_plugins()
    conftest = next(one for one in plugins if getattr(one, "__file__", "") == str(ROOT / "tests" / "conftest.py"))
    for strict, reason, outcome in (
        (True, "Skipped: dciodvfy is not installed", "failed"),
        (True, "Skipped: SPINENET_SPIDER is not set to a SPIDER folder", "skipped"),
        (False, "Skipped: dciodvfy is not installed", "skipped"),
    ):
        monkeypatch.setattr(conftest, "STRICT", strict)
        report = pytest.CollectReport("tests/test_a.py", "skipped", ("tests/test_a.py", 1, reason), None)
        assert conftest._refuse_skip(report).outcome == outcome


def test_the_default_bundle_says_that_its_versions_are_its_own() -> None:
    facts = json.loads((ROOT / "src/spinenet/model/default/model.json").read_text(encoding="utf-8"))
    assert facts["version"] != "0" and f"({facts['version']})" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
