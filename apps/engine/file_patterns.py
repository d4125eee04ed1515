"""Patterns of file paths, as users write them in the settings of the source `files`.

They are not in `apps.engine.sources.files`, because importing that package loads the readers of files.
"""

from __future__ import annotations

import re
from functools import lru_cache

WILDCARD = re.compile(r"[*?\[]")


def is_address(path: str) -> bool:
    return "://" in path


def is_pattern(path: str) -> bool:
    return not is_address(path) and WILDCARD.search(path) is not None


def matches(pattern: str, path: str) -> bool:
    """Return whether the path matches the pattern.

    `*` and `?` match characters within one folder, `**` matches across folders, and `[ab]` matches `a` or `b`.
    """
    return compile_pattern(pattern).fullmatch(path) is not None


@lru_cache(maxsize=64)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    expression = ""
    remaining = pattern
    while remaining:
        part, remaining = _translate_first_part(remaining)
        expression += part
    return re.compile(expression)


def _translate_first_part(pattern: str) -> tuple[str, str]:
    """Return the regular expression for the first part of a pattern, and the remaining pattern."""
    if pattern.startswith("**/"):
        return "(?:[^/]+/)*", pattern[3:]
    if pattern.startswith("**"):
        return ".*", pattern[2:]
    if pattern[0] == "*":
        return "[^/]*", pattern[1:]
    if pattern[0] == "?":
        return "[^/]", pattern[1:]
    closing = pattern.find("]", 2)
    if pattern[0] == "[" and closing > 0:
        characters = pattern[1:closing]
        negation = "^/" if characters.startswith(("!", "^")) else ""
        escaped = re.escape(characters.lstrip("!^"))
        return f"[{negation}{escaped}]".replace(r"\-", "-"), pattern[closing + 1 :]
    return re.escape(pattern[0]), pattern[1:]
