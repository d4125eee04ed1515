"""axe-core in the page: barriers for screen readers and keyboards."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from local.home import CHECKOUT

AXE = CHECKOUT / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
GRAVE = {"serious", "critical"}


def grave_violations(page: Page) -> list[str]:
    """Return serious and critical violations of WCAG 2.2 AA, one line each with the first affected element."""
    if not AXE.exists():
        pytest.fail(f"{AXE} is missing: run `make frontend`, which installs the packages.")
    found: list[dict[str, Any]] = page.evaluate(
        f"{AXE.read_text()};"
        f"axe.run(document, {{runOnly: {RULES}, resultTypes: ['violations']}})"
        ".then((result) => result.violations)"
    )
    return [
        f"{one['id']} ({one['impact']}): {one['help']}: {one['nodes'][0]['html']}"
        for one in found
        if one["impact"] in GRAVE
    ]
