"""Read the visible text of a page.

The page may be hostile. Each character is read a fixed number of times, which is not true of `html.parser`: it needs hours
for a page of 2 MB that begins a tag again and again.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

HIDDEN_ELEMENTS = frozenset({"script", "style", "template", "noscript", "svg", "head"})
CODE_ELEMENTS = frozenset({"script", "style"})  # their contents have no tags
BLOCK_ELEMENTS = frozenset(
    {"p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "section", "table"}
)
TAG_NAME = re.compile(r"(/?)([a-z][a-z0-9]*)", re.IGNORECASE)
LONG_NUMBER = re.compile(r"&#x?[0-9a-f]{8,}+;?", re.IGNORECASE)  # no character has such a number


def text_of_html(page: str) -> str:
    """Return the visible text of a page. Links lose their addresses."""
    text = html.unescape(LONG_NUMBER.sub("\ufffd", "".join(_visible_parts(page))))
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def _visible_parts(page: str) -> Iterator[str]:
    lower = page.lower() if len(page.lower()) == len(page) else page
    open_hidden = position = 0
    while position < len(page):
        start = _find(page, "<", position)
        if not open_hidden:
            yield page[position:start]
        name = TAG_NAME.match(page, start + 1)
        if name is None:
            position, shown = _after_comment_or_text(page, start)
            yield shown if not open_hidden else ""
            continue
        position = _find(page, ">", name.end()) + 1
        tag, is_end = name[2].lower(), bool(name[1])
        if tag in CODE_ELEMENTS and not is_end:
            position = _find(lower, f"</{tag}", position)
        elif tag in HIDDEN_ELEMENTS and page.endswith("/>", 0, position):
            continue  # an empty element, such as <svg/>
        if tag in HIDDEN_ELEMENTS:
            open_hidden = max(0, open_hidden + (-1 if is_end else 1))
        if tag in BLOCK_ELEMENTS:
            yield "\n"


def _after_comment_or_text(page: str, start: int) -> tuple[int, str]:
    """Return where a comment ends, and nothing; or for a single "<" the next position, and "<"."""
    if page.startswith("<!--", start):
        return _find(page, "-->", start + 4) + 3, ""
    if page.startswith(("<!", "<?"), start):
        return _find(page, ">", start) + 1, ""
    return start + 1, page[start : start + 1]


def _find(page: str, part: str, start: int) -> int:
    """Return the position of the part, or the end of the page."""
    found = page.find(part, start)
    return len(page) if found < 0 else found
