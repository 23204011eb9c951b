"""What axe-core finds on the pages: nothing, in light and dark, with every fold open.

Needs axe-playwright-python (extra ``dev``), which holds axe-core.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spinenet.report.options import Language, ReportOptions
from spinenet.report.page.change import compare, page
from spinenet.report.study_files import REPORTS_FOLDER, path_of, write_folder_files, write_study_files
from spinenet.study import Note, Scope, Severity, StudyResult


def violations(opened: Any) -> list[str]:
    why = "no axe: pip install axe-playwright-python"
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason=why)
    opened.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true; })")
    found = []
    for scheme in ("light", "dark"):
        opened.emulate_media(color_scheme=scheme)
        result = axe.Axe().run(opened).response["violations"]
        found += [
            f"{scheme} {one['id']}: {one['nodes'][0]['html'][:200]} {one['nodes'][0]['failureSummary']}"
            for one in result
        ]
    return found


@pytest.fixture
def folder(complete: StudyResult, model: dict[str, Any], tmp_path: Path) -> Path:
    refused = Note("no_sacrum", Scope.SERIES, "t2", "the sacrum is not in view", Severity.REFUSE)
    failed = replace(complete, key="failed", status="failed", flags=(refused,))
    for result in (replace(complete, key="earlier"), replace(complete, key="later"), failed):
        write_study_files(result, tmp_path / REPORTS_FOLDER, model={**model, "noise": {}})
    arabic = ReportOptions(language=Language.AR, patient_page=True)
    write_study_files(replace(complete, key="arabic"), tmp_path / REPORTS_FOLDER, model=model, options=arabic)
    write_folder_files(tmp_path, ["failed", "earlier"])
    reports = [path_of(tmp_path / REPORTS_FOLDER, key, ".json") for key in ("earlier", "later")]
    (tmp_path / "changes.html").write_text(page(compare(*reports)), encoding="utf-8")
    return tmp_path


PAGES = ("worklist", "changes", "reports/later", "reports/failed", "reports/arabic", "reports/arabic.patient")


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_on_a_page(watched: Any, folder: Path, name: str) -> None:
    assert violations(watched.open(folder / f"{name}.html")) == []
