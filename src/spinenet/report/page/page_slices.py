"""The slices that a study's page holds, read back from it: for a page that shows two studies."""

import json
import re
from pathlib import Path
from typing import Any

SLICES = re.compile(r'<script type="application/json" id="slices">(.*?)</script>', re.DOTALL)


def slices_of(page: Path | None) -> dict[str, Any]:
    """What ``viewer.viewer_data`` put into a page; ``{}`` where there is no page, or none with slices."""
    found = SLICES.search(page.read_text(encoding="utf-8")) if page else None
    content = json.loads(found.group(1)) if found else {}
    return content if isinstance(content, dict) else {}
