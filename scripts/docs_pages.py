"""Pages of the documentation that are made from the code when it is built (a hook of mkdocs.yml), never by hand.

reference/command-line.md    from the commands themselves
reference/configuration.md   every key of the YAML files, from the dataclasses and what stands under their fields
reference/results.md         columns of the tables and the JSON schema
reference/label-space.md     levels, targets and grades
analyses/*.md                the notebooks, run; SPINENET_DOCS_NOTEBOOKS=no shows their code alone
"""

import ast
import dataclasses
import enum
import importlib.util
import inspect
import json
import logging
import os
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_type_hints

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation
from typer.testing import CliRunner

from spinenet.labels import MAX_GRADES
from spinenet.train import command_line

log = logging.getLogger(f"mkdocs.plugins.{__name__}")
ROOT = Path(__file__).parents[1]
COMMANDS = {function: " ".join(words) for words, (function, _, _) in command_line.COMMANDS.items()}
ORDER = ("Tutorial", "How to", "Explanation", "Reference", "Analyses")
SAME_AS_FIRST = {f"p_{index}" for index in range(1, MAX_GRADES)}
MADE = "<!-- made by scripts/docs_pages.py -->\n\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made to those that lie in docs/."""
    pages: dict[str, str | bytes] = {
        "reference/command-line.md": commands(),
        "reference/configuration.md": configuration(),
        "reference/results.md": results(),
        "reference/label-space.md": label_space(),
    }
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        pages |= executed(notebook)
    for name, content in pages.items():
        files.append(File.generated(config, name, content=MADE + content if isinstance(content, str) else content))
    return files


def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> Navigation:
    """The front page, then the sections in the order in which people need them."""
    nav.items.sort(key=lambda item: ORDER.index(str(item.title)) if item.title in ORDER else -1)
    return nav


def table(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    cells = [[" ".join(str(cell).split()).replace("|", "\\|") for cell in row] for row in rows]
    headings = list(headings)
    lines = [headings, ["---"] * len(headings), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


# ---- the command line


def commands() -> str:
    """The help of every command, as the terminal shows it."""
    from spinenet.cli import app

    group = typer.main.get_command(app)
    return "\n".join(["# Command line", *_help_of(group, ())])


def _help_of(command: Any, words: tuple[str, ...]) -> Iterator[str]:
    """A section a command, and those of the commands in it."""
    from spinenet.cli import app

    if words:
        yield f"\n{'#' * (len(words) + 1)} `spinenet {' '.join(words)}`\n"
    if words in command_line.COMMANDS:
        _, extra, text = command_line.COMMANDS[words]
        yield f"{text} Needs the extra `{extra}`.\n\nTakes {command_line.KEYS}: [all keys](configuration.md)."
        return
    printed = CliRunner().invoke(app, [*words, "--help"], prog_name="spinenet", terminal_width=100).stdout
    yield f"```text\n{printed.strip()}\n```"
    for word, inner in getattr(command, "commands", {}).items():
        yield from _help_of(inner, (*words, word))


# ---- the configuration


def configuration() -> str:
    """Every script's keys, and the groups of keys that several share."""
    schemas = {path.stem: _schema(path.stem) for path in sorted((ROOT / "configs").glob("*.yaml"))}
    groups: dict[type, str] = {}
    for command, schema in schemas.items():
        _gather(schema, groups, command)
    parts = [
        "# Configuration",
        "Scripts are configured as `KEY=VALUE` on the command line, composed by Hydra from the files in `configs/` "
        "and checked against dataclasses before anything runs: a wrong key or value ends in one line. "
        "`--cfg job` prints what a command would run with, `--help` lists keys and choices, `--multirun KEY=1,2` runs "
        "one after the other.\n",
        "A key of a group is written with the group's name before it, such as `fit.epochs=3`. Whole files are chosen "
        "by name: `experiment=demo_grader`, `model=grader_small`, `debug=fast`.\n",
    ]
    for name, schema in schemas.items():
        command = f", `spinenet {COMMANDS[name]}`" if name in COMMANDS else ""
        parts += [f"## {name.replace('_', ' ')}", f"`python scripts/{name}.py`{command}\n", _keys(schema, groups)]
    parts.append("## Groups of keys\n")
    for schema, name in groups.items():
        parts += [f"### {name} {{ #{_anchor(schema)} }}", _keys(schema, groups)]
    parts.append("## Files that can be chosen\n")
    for folder in sorted(path for path in (ROOT / "configs").iterdir() if path.is_dir()):
        rows = [(f"`{folder.name}={path.stem}`", _remark(path)) for path in sorted(folder.glob("*.yaml"))]
        parts += [f"### {folder.name}=", table(("Choice", "What it is"), rows)]
    return "\n".join(parts)


def _schema(name: str) -> type:
    """The dataclass that a script's configuration is checked against: importing the script registers it."""
    from hydra.core.config_store import ConfigStore
    from omegaconf import OmegaConf

    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "scripts" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return OmegaConf.get_type(ConfigStore.instance().load(f"{name}_schema.yaml").node)  # type: ignore[return-value]


def _gather(schema: type, groups: dict[type, str], command: str, prefix: str = "") -> None:
    """Dataclasses within a dataclass, by the key they are reached with; what another group is called is told apart."""
    for field, kind in _fields(schema):
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            name = f"{prefix}{field.name}"
            title = f"{name} of {command.replace('_', ' ')}" if name in groups.values() else name
            groups.setdefault(kind, title)
            _gather(kind, groups, command, f"{name}.")


def _anchor(schema: type) -> str:
    return f"keys-{schema.__name__.lower()}"


def _fields(schema: type) -> Iterator[tuple[dataclasses.Field[Any], Any]]:
    hints = get_type_hints(schema)
    for field in dataclasses.fields(schema):
        yield field, hints[field.name]


def _keys(schema: type, groups: dict[type, str]) -> str:
    text = inspect.cleandoc(schema.__doc__ or "").replace("``", "`")
    words = _words_under_fields(schema)
    rows = []
    for field, kind in _fields(schema):
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            rows.append((f"`{field.name}.*`", "", f"[the keys of {groups[kind]}](#{_anchor(kind)})"))
        else:
            above = "as said above" if f"`{field.name}`" in text else ""
            if not words.get(field.name, above):
                log.warning(
                    "%s.%s: no words under this key, and its class does not name it", schema.__name__, field.name
                )
            rows.append((f"`{field.name}`", _default(field, kind), words.get(field.name, above)))
    return f"{text}\n\n{table(('Key', 'Type and default', 'What it is'), rows)}"


def _default(field: dataclasses.Field[Any], kind: Any) -> str:
    name = str(kind) if "[" in str(kind) or not isinstance(kind, type) else kind.__name__
    name = name.replace("NoneType", "null").replace("None", "null")
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        name = ", ".join(one.name for one in kind)
    value = field.default
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    if value is dataclasses.MISSING or value == "???":
        return f"{name}, must be given"
    return f"{name}, `{_shown(value)}`"


def _shown(value: Any) -> str:
    """A value as it is written on the command line."""
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_shown, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_shown(one)}" for key, one in value.items()) + "}"
    words = {None: "null", True: "true", False: "false", "": "''"}
    return (
        words[value] if value in words and not isinstance(value, int | float) or isinstance(value, bool) else str(value)
    )


def _words_under_fields(schema: type) -> dict[str, str]:
    """What stands as a string under each field, those of the classes it inherits from included."""
    words: dict[str, str] = {}
    for one in reversed(schema.__mro__):
        if not dataclasses.is_dataclass(one):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(one))).body[0].body  # type: ignore[attr-defined]
        for line, after in zip(body, body[1:], strict=False):
            if isinstance(line, ast.AnnAssign) and isinstance(after, ast.Expr) and isinstance(line.target, ast.Name):
                words[line.target.id] = str(getattr(after.value, "value", "")).replace("``", "`")
    return words


def _remark(path: Path) -> str:
    """The comment at the top of a YAML file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return " ".join(line[1:].strip() for line in lines if line.startswith("#") and "@package" not in line)


# ---- results and label space


def results() -> str:
    """Columns of the tables and the schema of the JSON files."""
    from spinenet.report.schema import predictions_schema
    from spinenet.report.tables import COLUMN_WORDS, PREDICTION_COLUMNS, STUDY_COLUMNS

    schema = predictions_schema()
    parts = ["# Results: tables and JSON", (ROOT / "docs/reference/_results.md").read_text(encoding="utf-8")]
    for name, columns in (("predictions.csv", PREDICTION_COLUMNS), ("studies.csv", STUDY_COLUMNS)):
        rows = [(f"`{column}`", COLUMN_WORDS[column]) for column in columns if column not in SAME_AS_FIRST]
        parts += [f"## {name}\n", f"`{','.join(columns)}`\n", table(("Column", "What it is"), rows)]
    parts += ["## predictions.json", schema.get("description", ""), ""]
    parts += ["### The file\n", _properties(schema)]
    for name, definition in schema["$defs"].items():
        if "properties" in definition:
            parts += [f"### {name}\n", _properties(definition)]
    whole = textwrap.indent(json.dumps(schema, indent=1, ensure_ascii=False), "    ")
    parts += ["## The schema itself\n", "`python -m spinenet.report.schema` prints it.\n"]
    parts += ['??? note "JSON Schema"\n', "    ```json", whole, "    ```", ""]
    return "\n".join(parts)


def _properties(schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = [
        (f"`{name}`", _type_of(one), "" if name in required else "optional", one.get("description", ""))
        for name, one in schema["properties"].items()
    ]
    return table(("Key", "Type", "", "What it is"), rows)


def _type_of(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "enum" in schema:
        return ", ".join("null" if one is None else str(one) for one in schema["enum"])
    if "const" in schema:
        return "always the same"
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type_of(schema.get('items', {}))}"
    return ", ".join(kind) if isinstance(kind, list) else str(kind)


def label_space() -> str:
    """Levels, targets and their grades."""
    from spinenet.labels import LEVELS, RESEARCH_ONLY, TARGETS

    parts = [
        "# Label space",
        f"> {RESEARCH_ONLY}\n",
        "All of it stands in `src/spinenet/labels.py`; heads of networks, tables, schema, pages and structured reports "
        "index it. [Another target](../how-to/own-target.md) is another entry.\n",
        f"Levels, named from the sacrum up: {', '.join(LEVELS)}.\n",
    ]
    rows = []
    for target in TARGETS:
        grades = "; ".join(f"{value} {words}" for value, words in zip(target.grades, target.words, strict=True))
        rows.append((f"`{target.name}`", target.title, target.scale.value, grades))
    return "\n".join([*parts, table(("Target", "Title", "Scale", "Grades"), rows)])


# ---- notebooks


def executed(notebook: Path) -> dict[str, str | bytes]:
    """A notebook as a page with what it prints and draws."""
    import nbformat
    from nbclient import NotebookClient
    from nbconvert import MarkdownExporter

    content = nbformat.read(notebook, 4)
    if os.environ.get("SPINENET_DOCS_NOTEBOOKS") != "no":
        place = {"metadata": {"path": str(notebook.parent)}}
        NotebookClient(content, timeout=300, kernel_name="python3", resources=place).execute()
    text, resources = MarkdownExporter().from_notebook_node(content)
    pages: dict[str, str | bytes] = {}
    for name, picture in resources["outputs"].items():
        text = text.replace(f"]({name})", f"]({notebook.stem}_{name})")
        pages[f"analyses/{notebook.stem}_{name}"] = picture
    source = f"*This page is `notebooks/{notebook.name}`, run when the documentation was built.*\n\n"
    heading, _, rest = text.lstrip().partition("\n")
    return {**pages, f"analyses/{notebook.stem}.md": f"{heading}\n\n{source}{rest}"}
