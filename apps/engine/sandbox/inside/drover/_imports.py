"""Import hooks: explain that a module is not available, and run code after another module is imported."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


class _Explaining:
    """Raises a clear error for a module that is not available, instead of a file error deep inside an import."""

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


class _Following:
    """Calls `then` with the module `name` after it was imported, whoever imports it."""

    def __init__(self, name: str, then: Callable[[ModuleType], None]) -> None:
        self._name = name
        self._then = then

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        found = PathFinder.find_spec(fullname, path) if fullname == self._name else None
        if found is None or found.loader is None:
            return None
        load = found.loader.exec_module

        def load_and_call(module: ModuleType) -> None:
            load(module)
            self._then(module)

        found.loader.exec_module = load_and_call  # type: ignore[method-assign]
        return found


def explain(names: Iterable[str]) -> None:
    """Install the explaining hook; `names` are the importable top-level modules outside the standard library."""
    sys.meta_path.insert(0, _Explaining(names))


def follow(name: str, then: Callable[[ModuleType], None]) -> None:
    """Call `then` with the module after it is imported, which may be now, later or never."""
    if name in sys.modules:
        then(sys.modules[name])
    else:
        sys.meta_path.insert(0, _Following(name, then))
