"""Find the modules that the code imports, and check that they are available."""

from __future__ import annotations

import ast
import sys
from difflib import get_close_matches
from functools import lru_cache

from apps.engine.authoring.report import Report
from apps.engine.sandbox import paths

# Modules of the standard library that do not work in a sandbox.
UNUSABLE_MODULES = {
    "subprocess": "a sandbox cannot start other programs",
    "multiprocessing": "a sandbox has one process; threads work",
    "ctypes": "the sandbox blocks most of the system calls that it is used for",
    "pty": "there is no terminal in a sandbox",
    "socketserver": "a sandbox cannot listen for connections",
    "tkinter": "there is no display in a sandbox",
}
OWN_PACKAGE = "drover"
MAX_COMPARED_LENGTH = 60  # characters; the comparison of names takes quadratic time


@lru_cache(maxsize=1)
def available_modules() -> frozenset[str]:
    """Return the top-level modules that a custom source can import."""
    return frozenset({*sys.stdlib_module_names, *paths.find_python_files().modules, OWN_PACKAGE})


def importable_packages() -> list[str]:
    """Return the packages outside the standard library that a custom source can import, for display."""
    return [name for name in paths.find_python_files().modules if not name.startswith("_")]


def check_imports(tree: ast.Module, report: Report) -> dict[str, str]:
    """Report missing modules, and return the imported names as `{local name: dotted origin}`."""
    origins: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                _check_import(alias.name, node, report)
                origins[alias.asname or alias.name.partition(".")[0]] = alias.name
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                report.error(
                    node, "Relative imports are not available: a custom source is a single file."
                )
                continue
            _check_import(node.module or "", node, report)
            origins.update({a.asname or a.name: f"{node.module}.{a.name}" for a in node.names})
    return origins


def _check_import(module: str, node: ast.stmt, report: Report) -> None:
    top = module.partition(".")[0]
    if top not in available_modules():
        is_comparable = len(top) <= MAX_COMPARED_LENGTH and not report.is_full
        similar_names = get_close_matches(top, importable_packages(), n=1) if is_comparable else []
        hint = f" Did you mean {similar_names[0]}?" if similar_names else ""
        report.error(node, f"A custom source cannot import {top}.{hint}")
    elif top in UNUSABLE_MODULES:
        report.warn(node, f"{top} will not work: {UNUSABLE_MODULES[top]}.")
