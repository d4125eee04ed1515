"""Import hooks: explain that a module is not available, and call a function after a module is imported."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


class _UnavailableModuleFinder:
    """Raises an error with the name of the unavailable module. Without this hook, Python would raise a file error."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names) | sys.stdlib_module_names | {"drover", "source"}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        is_private = fullname.startswith("_")  # parts of the standard library that are not listed
        if path is None and fullname not in self._names and not is_private:
            raise ModuleNotFoundError(
                f"{fullname!r} is not a module that a custom source can import", name=fullname
            )
        return None


class _ImportWatcher:
    """Calls `callback` with the module `name` after any code has imported it."""

    def __init__(self, name: str, callback: Callable[[ModuleType], None]) -> None:
        self._name = name
        self._callback = callback

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path) if fullname == self._name else None
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def load_and_call(module: ModuleType) -> None:
            load(module)
            self._callback(module)

        spec.loader.exec_module = load_and_call  # type: ignore[method-assign]
        return spec


def explain_unavailable_modules(names: Iterable[str]) -> None:
    """Raise a clear error when an unavailable module is imported.

    `names` are the top-level modules that can be imported, besides the standard library.
    """
    sys.meta_path.insert(0, _UnavailableModuleFinder(names))


def call_after_import(name: str, callback: Callable[[ModuleType], None]) -> None:
    """Call `callback` with the module: at once if it is imported already, else when code imports it."""
    if name in sys.modules:
        callback(sys.modules[name])
    else:
        sys.meta_path.insert(0, _ImportWatcher(name, callback))
