"""What holds for every page: no barriers for people with a screen reader, no errors, a title, and no horizontal scroll."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page

from tests.journeys.accessibility import all_violations
from tests.journeys.conftest import Visitor
from tests.screenshots import open_page

HEIGHTS = {360: 780, 1440: 900}
# Three of them in a row have both themes and both widths.
LOOKS = (("light", 1440), ("dark", 360), ("light", 360), ("dark", 1440))


def set_look(page: Page, look: tuple[str, int]) -> None:
    theme, width = look
    page.set_viewport_size({"width": width, "height": HEIGHTS[width]})
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")


@dataclass
class PageChecks:
    """Collects what is wrong on the pages, so that one journey tells about all pages."""

    visitor: Visitor
    screenshots: Path
    url: str  # of Drover
    problems: list[str] = field(default_factory=list)

    def open(self, address: str, look: tuple[str, int], *, expected: tuple[int, ...] = ()) -> None:
        """Open a page and check it. Answers with an expected status are no errors."""
        set_look(self.visitor.page, look)
        open_page(self.visitor.page, f"{self.url}{address}")
        self.check(address, look, expected=expected)

    def check(self, name: str, look: tuple[str, int], *, expected: tuple[int, ...] = ()) -> None:
        """Check what is open."""
        self.report(f"{name} {look}", *_problems_of_page(self.visitor.page), expected=expected)

    def report(self, name: str, *found: str, expected: tuple[int, ...] = ()) -> None:
        """Note what was found, and the errors since the last report. They have a screenshot."""
        problems = [*found, *self.visitor.unexpected_errors(*expected)]
        self.visitor.errors.clear()
        if problems:
            file_name = f"{len(self.problems)} {name}".replace("/", "-")[:120]
            self.visitor.page.screenshot(path=self.screenshots / f"{file_name}.png")
        self.problems += [f"{name}: {problem}" for problem in problems]

    def check_state(self, name: str, *, expected: tuple[int, ...] = ()) -> None:
        """Check what is open in the light on a wide screen, and in the dark on a phone."""
        for look in LOOKS[:2]:
            set_look(self.visitor.page, look)
            self.check(name, look, expected=expected)


def _problems_of_page(page: Page) -> list[str]:
    found = all_violations(page)
    if not page.title().endswith(" · Drover"):
        found.append(f"the title is {page.title()!r}")
    headings = page.get_by_role("heading", level=1).all_inner_texts()
    if len(headings) != 1 and not page.locator("dialog[open]").count():
        found.append(f"the page has not one main heading: {headings}")
    wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    if wider > 0:
        found.append(f"the page is {wider} pixels wider than the window")
    return found
