"""Find the modules that the code imports, and check that they are available."""

from __future__ import annotations

import ast
import sys
from difflib import get_close_matches
from functools import lru_cache

from apps.engine.authoring.report import Report
from apps.engine.sandbox import paths

# Modules of the standard library that do not work in a sandbox.
WITHOUT_USE = {
    "subprocess": "a sandbox cannot start other programs",
    "multiprocessing": "a sandbox has one process; threads work",
    "ctypes": "the sandbox blocks what it is usually used for",
    "pty": "there is no terminal in a sandbox",
    "socketserver": "a sandbox cannot listen",
    "tkinter": "there is no display in a sandbox",
}
OWN = "drover"
LONGEST_COMPARED = 60  # characters; comparing names takes quadratic time


@lru_cache(maxsize=1)
def available() -> frozenset[str]:
    """Top-level modules that a custom source can import."""
    return frozenset({*sys.stdlib_module_names, *paths.readable().modules, OWN})


def packages() -> list[str]:
    """Return the importable packages outside the standard library, for display."""
    return [name for name in paths.readable().modules if not name.startswith("_")]


def check(tree: ast.Module, report: Report) -> dict[str, str]:
    """Return the names bound by imports as `{local name: dotted origin}`. Reports missing modules."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                _check(alias.name, node, report)
                names[alias.asname or alias.name.partition(".")[0]] = alias.name
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                report.error(
                    node, "Relative imports are not available: a custom source is a single file."
                )
                continue
            _check(node.module or "", node, report)
            names.update({a.asname or a.name: f"{node.module}.{a.name}" for a in node.names})
    return names


def _check(module: str, node: ast.stmt, report: Report) -> None:
    top = module.partition(".")[0]
    if top not in available():
        comparable = len(top) <= LONGEST_COMPARED and not report.full
        near = get_close_matches(top, packages(), n=1) if comparable else []
        hint = f" Did you mean {near[0]}?" if near else ""
        report.error(node, f"A custom source cannot import {top}.{hint}")
    elif top in WITHOUT_USE:
        report.warn(node, f"{top} will not work: {WITHOUT_USE[top]}.")
