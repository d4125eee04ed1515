"""What holds for every page: no barriers for people with a screen reader, no errors, a title, and no horizontal scroll."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page

from tests.journeys.accessibility import all_violations
from tests.journeys.conftest import Visitor
from tests.screenshots import open_page

THEMES = ("light", "dark")
HEIGHTS = {360: 780, 768: 1024, 1440: 900}  # of the window in pixels, by its width
DESKTOP = ("light", 1440)
PHONE = ("dark", 360)
CONVERSATION = re.compile("/(agent|sources/builder)(/|$)")  # pages that scroll within the window
DEAD_BUTTONS = "#main button:visible:is([aria-disabled=true], :disabled)"


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

    def open_in_each_look(
        self, address: str, *, expected: tuple[int, ...] = (), may_edit: bool = True
    ) -> None:
        """Open a page at each width and check it in both themes. Without `may_edit`, no button of it may be disabled."""
        for width in HEIGHTS:
            set_look(self.visitor.page, (THEMES[0], width))
            open_page(self.visitor.page, f"{self.url}{address}")
            self._check_in_both_themes(address, width, expected)
            if not may_edit:
                self.report(f"buttons of {address} {width}", *dead_buttons(self.visitor.page))

    def open(self, address: str, look: tuple[str, int], *, expected: tuple[int, ...] = ()) -> None:
        """Open a page and check it. Answers with an expected status are no errors."""
        set_look(self.visitor.page, look)
        open_page(self.visitor.page, f"{self.url}{address}")
        self.check(address, look, expected=expected)

    def check(self, name: str, look: tuple[str, int], *, expected: tuple[int, ...] = ()) -> None:
        """Check what is open."""
        self.report(f"{name} {look}", *problems_of_page(self.visitor.page), expected=expected)

    def report(self, name: str, *found: str, expected: tuple[int, ...] = ()) -> None:
        """Note what was found, and the errors since the last report. They have a screenshot."""
        problems = [*found, *self.visitor.unexpected_errors(*expected)]
        self.visitor.errors.clear()
        if problems:
            file_name = f"{len(self.problems)} {name}".replace("/", "-")[:120]
            self.visitor.page.screenshot(path=self.screenshots / f"{file_name}.png")
        self.problems += [f"{name}: {problem}" for problem in problems]

    def check_in_each_look(self, name: str, *, expected: tuple[int, ...] = ()) -> None:
        """Check what is open at each width in both themes."""
        for width in HEIGHTS:
            self._check_in_both_themes(name, width, expected)

    def _check_in_both_themes(self, name: str, width: int, expected: tuple[int, ...]) -> None:
        for theme in THEMES:
            set_look(self.visitor.page, (theme, width))
            self.check(name, (theme, width), expected=expected)


def dead_buttons(page: Page) -> list[str]:
    return [f"{name!r} is dead" for name in page.locator(DEAD_BUTTONS).all_inner_texts()]


def problems_of_page(page: Page) -> list[str]:
    found = all_violations(page)
    if not page.title().endswith(" · Drover"):
        found.append(f"the title is {page.title()!r}")
    headings = page.get_by_role("heading", level=1).all_inner_texts()
    if len(headings) != 1 and not page.locator("dialog[open]").count():
        found.append(f"the page has not one main heading: {headings}")
    wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    if wider > 0:
        found.append(f"the page is {wider} pixels wider than the window")
    taller = page.evaluate("document.documentElement.scrollHeight - window.innerHeight")
    if taller > 0 and CONVERSATION.search(page.url):
        found.append(f"the page with a conversation is {taller} pixels taller than the window")
    return found
