"""Pages of the documentation that are made from the code when it is built (a hook of mkdocs.yml), never by hand.

reference/command-line.md    from the commands themselves
reference/configuration.md   every key of the YAML files, from the dataclasses and what stands under their fields
reference/results.md         columns of the tables and the JSON schema
reference/label-space.md     levels, targets and grades
reference/phantom-tables.md  the phantom's numbers, with unit and source
analyses/*.md                the notebooks, run; SPINENET_DOCS_NOTEBOOKS=no shows their code alone
"""

import importlib.util
import inspect
import json
import logging
import os
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page
from typer.testing import CliRunner

from spinenet.labels import MAX_GRADES
from spinenet.train import command_line
from spinenet.train.config_keys import SCHEMAS, keys_of

log = logging.getLogger(f"mkdocs.plugins.{__name__}")
ROOT = Path(__file__).parents[1]
COMMANDS = {function: " ".join(words) for words, (function, _, _) in command_line.COMMANDS.items()}
ORDER = ("Tutorial", "How to", "Explanation", "Reference", "Analyses")
MADE_OF = {
    "src/spinenet/cli.py": "reference/command-line.md",
    "configs": "reference/configuration.md",
    "src/spinenet/train/training_config.py": "reference/configuration.md#train-grader",
    "src/spinenet/report/tables.py": "reference/results.md",
    "src/spinenet/locating/measuring/quantities.py": "reference/results.md#measurements",
    "src/spinenet/labels.py": "reference/label-space.md",
    "src/spinephantom/data": "reference/phantom-tables.md",
    "src/spinephantom/data/sources.toml": "reference/phantom-tables.md#sources",
    "notebooks/01_data.ipynb": "analyses/01_data.md",
    "notebooks/02_evaluation.ipynb": "analyses/02_evaluation.md",
    "notebooks/03_errors_and_calibration.ipynb": "analyses/03_errors_and_calibration.md",
}
"""What pages link to, so that the link leads somewhere in a checkout too -> the page that is made of it."""
LINK = re.compile(r"(?<=\]\()\.\./[^)#\s]+(?=\))")
SAME_AS_FIRST = {f"p_{index}" for index in range(1, MAX_GRADES)}
MADE = "<!-- made by scripts/docs_pages.py -->\n\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made to those that lie in docs/."""
    pages: dict[str, str | bytes] = {
        "reference/command-line.md": commands(),
        "reference/configuration.md": configuration(),
        "reference/results.md": results(),
        "reference/label-space.md": label_space(),
        "reference/phantom-tables.md": phantom_tables(),
    }
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        pages |= executed(notebook)
    for name, content in pages.items():
        files.append(File.generated(config, name, content=MADE + content if isinstance(content, str) else content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """A link to what a page is made of leads to that page."""
    here = Path("docs", page.file.src_uri).parent

    def made(link: re.Match[str]) -> str:
        target = MADE_OF.get(os.path.normpath(here / link[0]))
        return link[0] if target is None else os.path.relpath(Path("docs", target), here)

    return LINK.sub(made, markdown)


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
    """Every script's keys, and the files that can be chosen."""
    parts = [
        "# Configuration",
        "Commands are configured as `KEY=VALUE` on the command line, composed by Hydra from the files in `configs/` "
        "and checked against dataclasses before anything runs: a wrong key or value ends in one line. "
        "`--help` lists keys and choices, `--cfg job` prints what a command would run with, `--multirun KEY=1,2` runs "
        "one after the other.\n",
        "Whole files are chosen by name, such as `experiment=demo_grader model=grader_small debug=fast`; what is typed "
        "wins over them.\n",
    ]
    for name in (path.stem for path in sorted((ROOT / "configs").glob("*.yaml"))):
        command = f"spinenet {COMMANDS[name]}" if name in COMMANDS else f"python scripts/{name}.py"
        parts += [f"## {name.replace('_', ' ')}\n", f"`{command}`\n", _keys(_schema(name))]
    parts.append("## Files that can be chosen\n")
    for folder in sorted(path for path in (ROOT / "configs").iterdir() if path.is_dir()):
        rows = [(f"`{folder.name}={path.stem}`", _remark(path)) for path in sorted(folder.glob("*.yaml"))]
        parts += [f"### {folder.name}=\n", table(("Choice", "What it is"), rows)]
    return "\n".join(parts)


def _keys(schema: type) -> str:
    """What the dataclass says of itself, and its keys as they are typed; a key without any words ends the build."""
    rows = []
    for key in keys_of(schema):
        if not key.text:
            log.warning("%s: %s has no words under it", schema.__name__, key.name)
        rows.append((f"`{key.name}`", f"`{key.default}`" if key.default else "", key.text.replace("``", "`")))
    text = inspect.cleandoc(schema.__doc__ or "").replace("``", "`")
    return f"{text}\n\n{table(('Key', 'Default', 'What it is'), rows)}"


def _schema(name: str) -> type:
    """The dataclass that a command's configuration is checked against: importing the script registers it."""
    from spinenet.train import commands  # noqa: F401  it registers its own

    if name in SCHEMAS:
        return SCHEMAS[name]
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "scripts" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return SCHEMAS[name]


def _remark(path: Path) -> str:
    """The comment at the top of a YAML file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return " ".join(line[1:].strip() for line in lines if line.startswith("#") and "@package" not in line)


# ---- results and label space


def results() -> str:
    """Columns of the tables and the schema of the JSON files."""
    from spinenet.locating.measuring.quantities import QUANTITIES
    from spinenet.report.schema import predictions_schema
    from spinenet.report.tables import COLUMN_WORDS, MEASUREMENT_COLUMNS, PREDICTION_COLUMNS, STUDY_COLUMNS

    schema = predictions_schema()
    parts = ["# Results: tables and JSON", (ROOT / "docs/reference/_results.md").read_text(encoding="utf-8")]
    tables = {
        "predictions.csv": PREDICTION_COLUMNS,
        "studies.csv": STUDY_COLUMNS,
        "measurements.csv": MEASUREMENT_COLUMNS,
    }
    for name, columns in tables.items():
        rows = [(f"`{column}`", COLUMN_WORDS[column]) for column in columns if column not in SAME_AS_FIRST]
        parts += [f"## {name}\n", f"`{','.join(columns)}`\n", table(("Column", "What it is"), rows)]
    sizes = [(f"`{one.name}`", one.unit, "yes" if one.frame else "", one.definition) for one in QUANTITIES]
    parts += ["## Measurements\n", "What a bundle without a segmenter measures too is marked.\n"]
    parts += [table(("Name", "Unit", "Always", "What it is"), sizes)]
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


# ---- the phantom


def phantom_tables() -> str:
    """Every table of the phantom as it is written, and the texts it cites."""
    from spinephantom import data

    folder = Path(data.__file__).parent
    parts = [
        "# Tables of the phantom",
        "The files of `src/spinephantom/data` as they are read, each number with its unit and source; "
        "[marks and rules](phantom.md) are explained beside them.\n",
    ]
    for path in sorted(folder.glob("*.toml"), key=lambda path: (path.stem == "sources", path.stem)):
        parts.append(f"## {path.stem.capitalize()}\n\n```toml\n{path.read_text(encoding='utf-8').strip()}\n```\n")
    return "\n".join(parts)


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
