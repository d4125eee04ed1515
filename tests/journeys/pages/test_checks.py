"""The checks of pages find the faults that they are for, each in the look in which it is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys.conftest import Visitor
from tests.journeys.pages.checks import DESKTOP, PageChecks, dead_buttons

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<style>@media (prefers-color-scheme: dark) {{ body {{ background: #111; color: #eee }} }}</style>
<meta name="viewport" content="width=device-width">
<title>Things · Drover</title><body style="margin: 0"><main id="main"><h1>Things</h1>{}</main></html>"""


# Content of a page, the problem that it has, and in how many of the looks it has it.
FAULTS = [
    ("<div style='width: 500px'>Wide</div>", "140 pixels wider than the window", 2),
    ("<div style='width: 800px'>Wide</div>", "pixels wider than the window", 4),
    ("<p style='color: #333'>Dark on dark</p>", "color-contrast", 3),
    ("<input>", "label (critical)", 6),
    ("<h1>More things</h1>", "not one main heading", 6),
    ("<p>Things without fault</p>", "", 0),
]


def test_a_fault_of_a_page_is_found_in_the_looks_that_have_it(
    visitor: Visitor, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    """One browser shows all pages, because each start of a browser takes seconds."""
    for content, problem, looks in FAULTS:
        with subtests.test(content):
            checks = PageChecks(visitor, tmp_path, url="")
            visitor.page.set_content(PAGE.format(content))
            checks.check_in_each_look("Things")
            assert len(checks.problems) == looks, checks.problems
            assert all(problem in found for found in checks.problems), checks.problems


def test_a_button_that_does_nothing_is_found(visitor: Visitor) -> None:
    visitor.page.set_content(PAGE.format("<button disabled>Run</button><button>Open</button>"))
    assert dead_buttons(visitor.page) == ["'Run' is dead"]


def test_a_conversation_that_is_taller_than_the_window_is_found(
    visitor: Visitor, tmp_path: Path
) -> None:
    page, checks = visitor.page, PageChecks(visitor, tmp_path, url="")
    tall = PAGE.format("<div style='height: 3000px'>Tall</div>")
    page.route("http://drover.test/**", lambda route: route.fulfill(body=tall))
    for path in ("agent", "alerts"):
        page.goto(f"http://drover.test/{path}")
        checks.check(path, DESKTOP)
    assert len(checks.problems) == 1, checks.problems
    assert "pixels taller than the window" in checks.problems[0]


def test_a_refused_request_of_a_page_is_found(visitor: Visitor, tmp_path: Path) -> None:
    page, checks = visitor.page, PageChecks(visitor, tmp_path, url="")
    page.route("http://drover.test/", lambda route: route.fulfill(body=PAGE.format("")))
    page.route("http://drover.test/runs", lambda route: route.fulfill(status=403))
    page.goto("http://drover.test/")
    page.evaluate("fetch('/runs')")
    checks.report("Things")
    assert "Things: 403 GET http://drover.test/runs" in checks.problems
