"""Say plainly that a module is not there, instead of a refused file somewhere below an import."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Explaining(MetaPathFinder):
    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names) | sys.stdlib_module_names | {"drover", "source"}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        private = fullname.startswith("_")  # parts of the standard library that are not listed
        if path is None and fullname not in self._names and not private:
            raise ModuleNotFoundError(
                f"{fullname!r} is not among what a custom source can import", name=fullname
            )
        return None


def explain(names: Iterable[str]) -> None:
    """`names` are the top-level modules beside the standard library that can be imported."""
    sys.meta_path.insert(0, _Explaining(names))
