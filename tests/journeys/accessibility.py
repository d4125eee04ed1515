"""Check pages with axe-core for barriers for people who use a screen reader or a keyboard."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from playwright.sync_api import Page

from local.home import CHECKOUT

AXE = CHECKOUT / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
WCAG_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
SEVERE_IMPACTS = {"serious", "critical"}


def severe_violations(page: Page) -> list[str]:
    """Return a line for each serious or critical violation of WCAG 2.2 AA, with the first affected element."""
    return _describe(v for v in _run_axe(page) if v["impact"] in SEVERE_IMPACTS)


def all_violations(page: Page) -> list[str]:
    """Return a line for each violation of WCAG 2.2 AA, with the first affected element."""
    return _describe(_run_axe(page))


def _run_axe(page: Page) -> list[dict[str, Any]]:
    if not AXE.exists():
        pytest.fail(f"{AXE} is missing: run `make frontend`, which installs the packages.")
    violations: list[dict[str, Any]] = page.evaluate(
        f"{AXE.read_text()};"
        f"axe.run(document, {{runOnly: {WCAG_TAGS}, resultTypes: ['violations']}})"
        ".then((result) => result.violations)"
    )
    return violations


def _describe(violations: Iterable[dict[str, Any]]) -> list[str]:
    return [
        f"{violation['id']} ({violation['impact']}): {violation['help']}: {violation['nodes'][0]['html']}"
        f" {violation['nodes'][0]['failureSummary']}"
        for violation in violations
    ]
