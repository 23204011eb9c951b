"""The shape of the code: data flows one way, prediction stays light, and heavy libraries keep to their folders."""

import ast
import graphlib
import importlib.util
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
MODULES = sorted(SOURCE.rglob("*.py"))

STAGES = (
    "system",
    "errors",
    "regions",
    "labels",
    "geometry",
    "study",
    "readers",
    "crops",
    "locating",
    "checking",
    "model",
    "predict",
    "report",
    "serve",
    "api",
    "cli",
)
"""From files to results: a room imports from those before it."""
BESIDE = {
    "datasets": set(STAGES) - {"report", "serve", "api", "cli"},
    "evaluate": set(STAGES) - {"serve", "api", "cli"} | {"datasets"},
    "train": set(STAGES) - {"serve", "api", "cli"} | {"datasets", "evaluate"},
    "spinephantom": {"system", "errors", "labels", "study"},
}
"""What does not lie on the way from files to reports, and what it may use."""

TRAINING_ONLY = {"torch", "monai", "pytorch_lightning", "lightning", "tensorboard", "onnx", "onnxscript"}
STATISTICS = {"pandas", "sklearn", "matplotlib"}
CONFIGURATION = {"hydra", "omegaconf"}
DISTRIBUTION_OF = {
    "jinja2": "Jinja2",
    "PIL": "Pillow",
    "openjpeg": "pylibjpeg-openjpeg",
    "jpeg_ls": "pyjpegls",
}


def stage_of(path: Path) -> str:
    """Room of a module: its place below spinenet, or ``spinephantom``."""
    return _room(path.relative_to(SOURCE).with_suffix("").parts)


def _room(parts: tuple[str, ...]) -> str:
    return parts[0] if parts[0] != "spinenet" or len(parts) < 2 else parts[1]


def imports_of(nodes: list[ast.stmt]) -> Iterator[str]:
    """Dotted names of the modules that statements import."""
    for node in (found for top in nodes for found in ast.walk(top)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def tree_of(path: Path) -> ast.Module:
    """A module as written; of the public names, which are imported when they are asked for, what is executed."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if path == SOURCE / "spinenet" / "__init__.py":
        tree.body = [node for node in tree.body if not isinstance(node, ast.If)]
    return tree


def libraries_of(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports_of(tree_of(path).body)}


def own_imports(path: Path) -> set[str]:
    """Rooms that a module imports from."""
    parts = [tuple(name.split(".")) for name in imports_of(tree_of(path).body)]
    return {_room(name) for name in parts if name[0] in ("spinenet", "spinephantom")} - {"__version__", "spinenet"}


def identify(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_a_module_imports_only_from_stages_before_it(path: Path) -> None:
    stage = stage_of(path)
    if stage == "__init__":
        allowed: set[str] = set()
    elif stage in BESIDE:
        allowed = BESIDE[stage] | {stage}
    else:
        allowed = set(STAGES[: STAGES.index(stage) + 1]) | ({"train"} if stage == "cli" else set())
    assert own_imports(path) <= allowed


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_heavy_libraries_keep_to_their_folders(path: Path) -> None:
    stage, libraries = stage_of(path), libraries_of(path)
    if stage != "train":
        assert not libraries & TRAINING_ONLY
    if stage not in ("train", "evaluate"):
        assert not libraries & STATISTICS - ({"pandas"} if stage == "api" else set())
    if path.name != "hydra_command.py":
        assert "hydra" not in libraries
    if stage != "train":
        assert "omegaconf" not in libraries


@pytest.mark.parametrize("path", [path for path in MODULES if stage_of(path) in STAGES], ids=identify)
def test_prediction_needs_the_base_install_only(path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    base = {requirement.split(">")[0] for requirement in project["dependencies"]}
    others = libraries_of(path) - set(sys.stdlib_module_names) - {"spinenet"}
    optional = {
        "readers": {"SimpleITK"},
        "serve": {
            "ray",
            "pynetdicom",
            "starlette",
            "uvicorn",
            "dicomweb_client",
            "requests",
            "python_multipart",
            "prometheus_client",
        },
        "report": {"reportlab"},
        "api": {"pandas"},
    }.get(stage_of(path), set())
    assert {DISTRIBUTION_OF.get(name, name) for name in others} <= base | optional


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_an_extra_is_imported_where_it_is_used(path: Path) -> None:
    if stage_of(path) in STAGES:
        outside = [node for node in tree_of(path).body if isinstance(node, ast.Import | ast.ImportFrom)]
        assert "SimpleITK" not in {name.split(".")[0] for name in imports_of(outside)}


@pytest.mark.parametrize("module", ["spinenet.cli", "spinenet.serve.batch", "spinenet.api"])
def test_the_command_starts_without_what_only_training_needs(module: str) -> None:
    heavy = TRAINING_ONLY | STATISTICS | CONFIGURATION | {"SimpleITK", "pynetdicom"}
    code = f"import sys, {module}; print(sorted(set(sys.modules) & {heavy}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_needs_none_of_the_stages() -> None:
    code = "import sys, spinenet.cli; print(sorted({'numpy', 'onnxruntime', 'rich', 'jinja2'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_what_breaks_the_training_install_is_absent(library: str) -> None:
    # torchvision has no CPU build that fits, and with it installed torchmetrics no longer imports; timm pulls it in
    assert importlib.util.find_spec(library) is None


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_public_functions_are_typed(path: Path) -> None:
    untyped = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            missing = [one.arg for one in arguments if one.annotation is None and one.arg not in ("self", "cls")]
            untyped += [f"{node.name}: {name}" for name in missing] + ([node.name] if node.returns is None else [])
    assert untyped == []


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_a_module_says_what_it_is_and_stays_short(path: Path) -> None:
    assert path.stat().st_size == 0 or ast.get_docstring(tree_of(path))
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_a_record_is_called_by_a_noun(path: Path) -> None:
    # MONAI's transforms of dictionaries end in d: NormalisePercentilesd
    classes = [node.name for node in ast.walk(tree_of(path)) if isinstance(node, ast.ClassDef)]
    assert [name for name in classes if re.fullmatch(r"_?[A-Z][a-z]+ed", name) and name != "Need"] == []


PHANTOM_ROOMS = (
    "data",
    "shapes",
    "patient",
    "spine",
    "truth",
    "population",
    "physics",
    "paint",
    "scan",
    "phantom",
    "synthesis",
    "write",
    "acceptance",
    "likeness",
)
"""Of spinephantom, from numbers to files: a room imports from those before it."""
PHANTOM_BORROWS = (
    "spinenet.system.",
    "spinenet.errors.",
    "spinenet.labels.",
    "spinenet.study.Series",
)
"""All that a phantom needs of spinenet: whole files, the words both use, and the record of a series."""
PHANTOM_MODULES = sorted((SOURCE / "spinephantom").rglob("*.py"))


@pytest.mark.parametrize("path", PHANTOM_MODULES[1:], ids=identify)
def test_a_phantom_is_made_in_one_direction(path: Path) -> None:
    room = path.relative_to(SOURCE / "spinephantom").with_suffix("").parts[0]
    parts = [name.split(".") for name in imports_of(tree_of(path).body)]
    assert {name[1] for name in parts if name[0] == "spinephantom"} <= set(
        PHANTOM_ROOMS[: PHANTOM_ROOMS.index(room) + 1]
    )


@pytest.mark.parametrize("path", PHANTOM_MODULES, ids=identify)
def test_the_phantom_stands_alone(path: Path) -> None:
    borrowed = [name for name in imports_of(tree_of(path).body) if name.startswith("spinenet.")]
    assert [name for name in borrowed if not name.startswith(PHANTOM_BORROWS)] == []


@pytest.mark.parametrize("package", ["spinenet", "spinephantom"])
def test_no_module_leads_back_to_itself(package: str) -> None:
    graph = {dotted(path): modules_imported(path) for path in sorted((SOURCE / package).rglob("*.py"))}
    assert len(graph) > 50 and circle_in(graph) == []


def test_a_circle_of_imports_is_seen() -> None:
    assert set(circle_in({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": set()})) == {"a", "b", "c"}


def circle_in(graph: dict[str, set[str]]) -> list[str]:
    """Modules that lead back to the first of them; empty where none do."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def dotted(path: Path) -> str:
    """The name a module is imported by."""
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


def modules_imported(path: Path) -> set[str]:
    """Modules of this distribution that a module names in its imports."""
    own = {dotted(other) for other in MODULES}
    names = {name if name in own else name.rpartition(".")[0] for name in imports_of(tree_of(path).body)}
    return names & own - {dotted(path)}


def test_a_file_name_occurs_once_and_the_top_of_the_package_stays_small() -> None:
    names = [path.name for path in MODULES if path.name != "__init__.py"]
    assert {name for name in names if names.count(name) > 1} == set()
    top = SOURCE / "spinenet"
    assert len(list(top.glob("*.py"))) <= 10
    assert len([one for one in top.iterdir() if one.is_dir() and one.name != "__pycache__"]) <= 10


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_a_function_stays_below_sixty_lines(path: Path) -> None:
    functions = (node for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    assert [one.name for one in functions if (one.end_lineno or one.lineno) - one.lineno >= 60] == []
