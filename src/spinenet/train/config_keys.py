"""Every key of a configuration with its default and meaning, read from the dataclasses: for ``--help`` and the docs."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

INSTALLED = Path(__file__).parents[1] / "configs"
"""Where a wheel has the YAML files; a checkout has them at its top."""
CONFIG_DIR = INSTALLED if INSTALLED.is_dir() else Path(__file__).parents[3] / "configs"
SCHEMAS: dict[str, type] = {}
"""Name of a YAML file in CONFIG_DIR -> the dataclass it fills, of all scripts that were imported."""
GROUP = re.compile(r"^  - (?:optional )?(\w+): ", re.MULTILINE)
"""A line of the defaults of a YAML file that chooses a file of a group."""


@dataclass(frozen=True)
class Key:
    """``name`` as it is typed (``fit.epochs``), ``type`` and ``default`` in words, ``text`` what it means."""

    name: str
    type: str
    default: str
    text: str


def keys_of(schema: type, prefix: str = "", made: Any = None) -> Iterator[Key]:
    """The keys of a dataclass, those of its groups below them; ``made`` is the group that its owner begins with.

    A key means what the string below its field says, or else the docstring of its dataclass.
    """
    types, texts = get_type_hints(schema), _texts(schema)
    for one in fields(schema):
        kind = types[one.name]
        if is_dataclass(kind):
            assert isinstance(kind, type)
            group = None if one.default_factory is MISSING else one.default_factory()
            yield from keys_of(kind, f"{prefix}{one.name}.", group)
            continue
        name = getattr(kind, "__name__", None) if not getattr(kind, "__args__", ()) else str(kind)
        yield Key(f"{prefix}{one.name}", name or str(kind), _default(one, made), texts.get(one.name, ""))


def _default(field: Any, made: Any) -> str:
    value = field.default_factory() if field.default_factory is not MISSING else field.default
    if value is MISSING or value == "???":
        return "(must be given)"
    value = value if made is None else getattr(made, field.name)
    return "null" if value is None else str(value)


def _texts(schema: type) -> dict[str, str]:
    """Field -> the string literal below it, of the class and of those it comes from."""
    texts: dict[str, str] = {}
    for one in reversed(schema.__mro__):
        if not is_dataclass(one):
            continue
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(one))).body
        assert isinstance(body, ast.ClassDef)
        for above, below in zip(body.body, body.body[1:], strict=False):
            described = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
            if isinstance(above, ast.AnnAssign) and isinstance(above.target, ast.Name) and described:
                assert isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
                texts[above.target.id] = " ".join(str(below.value.value).split())
    return texts


def help_of(config_name: str, schema: type, summary: str) -> str:
    """What ``--help`` prints: groups with their choices, then every key with its default and what it means."""
    lines = [
        inspect.cleandoc(summary),
        "",
        "key=value changes a key, group=choice takes a file, --multirun runs lists.",
        "",
    ]
    for group in GROUP.findall((CONFIG_DIR / f"{config_name}.yaml").read_text(encoding="utf-8")):
        lines.append(f"  {group}: {', '.join(sorted(path.stem for path in (CONFIG_DIR / group).glob('*.yaml')))}")
    for key in keys_of(schema):
        lines += ["", f"{key.name} = {key.default}"]
        lines += textwrap.wrap(key.text, 112, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines) + "\n"
