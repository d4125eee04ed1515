"""Short example sources. Each file can be run. The first line of its docstring is its title."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path
from typing import Any

import apps.engine.authoring
from apps.engine.sandbox import paths

COOKBOOK_FOLDER = Path(apps.engine.authoring.__file__).parent / "cookbook"
# From the simplest to the most flexible.
NAMES_IN_ORDER = (
    "api_key",
    "bearer_cursor",
    "oauth_refresh",
    "offset",
    "link_header",
    "nested_children",
    "any_python",
)
# shown in the examples of the API documentation
EXAMPLE_CODE = (COOKBOOK_FOLDER / "api_key.py").read_text("utf-8")


@lru_cache(maxsize=1)
def entries() -> list[dict[str, Any]]:
    """Return `{name, title, code}` of each example."""
    return [_read_entry(name) for name in NAMES_IN_ORDER]


def packages() -> list[str]:
    """Return the packages that code can import, besides the standard library."""
    return [name for name in paths.find_python_files().modules if not name.startswith("_")]


def _read_entry(name: str) -> dict[str, Any]:
    code = (COOKBOOK_FOLDER / f"{name}.py").read_text("utf-8")
    title = (ast.get_docstring(ast.parse(code)) or name).partition("\n")[0]
    return {"name": name, "title": title, "code": code}
