"""What a command leaves is whole or not there: no module writes straight to the place of a file."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
WRITERS = {"write_text", "write_bytes", "to_csv", "savefig", "savez", "savez_compressed", "save_as", "copyfile"}
PARTS_OF_A_WHOLE = {
    "src/spinenet/model/bundle.py: write_bundle": "model.json comes last and names the digests of the others",
    "src/spinenet/serve/node/web_archive.py: encoded": "into memory, to be sent",
    "src/spinenet/serve/workspace.py: receive": "a drop is graded when it is closed, and what broke off is removed",
    "src/spinephantom/write/dicom_files.py: write_dicom": "truth/STUDY.json comes last and says that it is done",
    "src/spinephantom/write/nifti_files.py: write_nifti": "as in dicom_files",
    "src/spinephantom/write/rsna_files.py: _write_series": "as in dicom_files",
}
"""Function -> why a file that it was writing when it ended is never taken for whole."""


def _writes(node: ast.AST) -> bool:
    """Whether this is a call that writes a file in its place; text that is only made (``to_csv()``) is none."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    if node.func.attr == "open":
        modes = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        return any(mode[0] in "wx" for mode in modes if mode)
    return node.func.attr in WRITERS and bool(node.args)


def straight_writers(path: Path) -> Iterator[str]:
    """Functions of a module that write files and not beside their place, by ``system.files.replacing``."""
    for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(function, ast.FunctionDef) and any(_writes(node) for node in ast.walk(function)):
            called = {
                node.func.id
                for node in ast.walk(function)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            }
            if "replacing" not in called:
                yield function.name


def test_every_file_is_written_beside_its_place() -> None:
    paths = sorted((ROOT / "src").rglob("*.py"))
    found = {f"{path.relative_to(ROOT).as_posix()}: {name}" for path in paths for name in straight_writers(path)}
    assert found == set(PARTS_OF_A_WHOLE)


def test_a_straight_writer_is_seen(tmp_path: Path) -> None:
    module = tmp_path / "a.py"
    module.write_text(
        "def save(path, text):\n    path.write_text(text)\n\ndef kept(table):\n    return table.to_csv()\n"
    )
    assert list(straight_writers(module)) == ["save"]
