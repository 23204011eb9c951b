"""A pytest plugin: the label space with one target more, by the very lines that the documentation tells to add.

They are put into the source of ``spinenet.labels`` before anything imports it; nothing else is told of the target.
"""

import re
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

END_OF_TARGETS = "\n)\nTARGET = {"


def added_lines() -> str:
    """The lines that the diff in the guide adds."""
    text = (Path(__file__).parents[1] / "docs" / "how-to" / "own-target.md").read_text(encoding="utf-8")
    (diff,) = re.findall(r"```diff\n(.*?)```", text, re.DOTALL)
    return "\n".join(line[1:] for line in diff.splitlines() if line.startswith("+"))


class _WithTarget(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        source = Path(self.path).read_text(encoding="utf-8")
        assert source.count(END_OF_TARGETS) == 1
        return compile(source.replace(END_OF_TARGETS, f"\n{added_lines()}{END_OF_TARGETS}"), self.path, "exec")


class _Finder(MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path) if name == "spinenet.labels" else None
        if spec is not None and spec.origin is not None:
            spec.loader = _WithTarget(name, spec.origin)
        return spec


sys.meta_path.insert(0, _Finder())
