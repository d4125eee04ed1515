"""Functions that other packages call have specific types: no `dict[str, Any]` in their signatures.

A package is a folder: an app, or one inside an app.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from tests.guards.source import ROOT, compare, files

VAGUE = ("dict[str, Any]", "Mapping[str, Any]")  # the second also matches MutableMapping
ALLOWED = {
    "apps.web.files:send_stored_file": "The scope and the messages of ASGI, as its specification has them.",
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    name: str
    package: str
    tree: ast.Module

    @cached_property
    def imported(self) -> dict[str, tuple[str, str]]:
        """Map each imported name to its module, and its name there."""
        return {
            name.asname or name.name: (node.module, name.name)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ImportFrom) and node.module
            for name in node.names
        }

    @cached_property
    def used(self) -> set[tuple[str, str]]:
        """Return (module, name) of everything it imports, directly or as an attribute of an imported module."""
        reached = set(self.imported.values())
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                there = ".".join(self.imported.get(node.value.id, ()))
                reached.add((there, node.attr))
        return reached

    @cached_property
    def attributes(self) -> set[str]:
        return {node.attr for node in ast.walk(self.tree) if isinstance(node, ast.Attribute)}

    @cached_property
    def aliases(self) -> set[str]:
        """Return its aliases of vague types: `Answer = dict[str, Any]`."""
        named = (node for node in self.tree.body if isinstance(node, ast.Assign | ast.AnnAssign))
        return {
            name
            for node in named
            if node.value is not None and _is_vague(ast.unparse(node.value))
            for name in [
                ast.unparse(node.target if isinstance(node, ast.AnnAssign) else node.targets[0])
            ]
            if name[0].isupper()
        }

    @property
    def functions(self) -> Iterator[tuple[str, str, Function]]:
        """Return (class or "", name, function) of every function and method."""
        for node in self.tree.body:
            if isinstance(node, Function):
                yield "", node.name, node
            elif isinstance(node, ast.ClassDef):
                methods = (each for each in node.body if isinstance(each, Function))
                yield from ((node.name, method.name, method) for method in methods)


Modules = Mapping[str, Module]


def test_no_signature_that_another_package_uses_is_vague() -> None:
    compare(_vague_calls(_modules()), ALLOWED, what="vague signatures that other packages use")


def test_the_guard_finds_functions_methods_aliases_and_what_a_package_hands_on() -> None:
    caller = "from apps.one import Thing, verbs\n\nverbs.say(verbs.ask(), Thing().shape([]))\n"
    sources = {
        "apps/one/words.py": "Answer = dict[str, Any]\n",
        "apps/one/inside.py": "from apps.one.words import Answer as Said\n",
        "apps/one/verbs.py": "from apps.one.inside import Said\n\ndef say(): ...\ndef ask() -> Said: ...\n",
        "apps/one/things.py": "class Thing:\n    def shape(self, given: list[Mapping[str, Any]]) -> None: ...\n",
        "apps/one/__init__.py": "from apps.one.things import Thing\n",
        "apps/one/views.py": caller,
    }
    found = {"apps.one.verbs:ask", "apps.one.things:Thing.shape"}
    assert _vague_calls(_read(sources)) == set()
    assert _vague_calls(_read({**sources, "apps/two/views.py": caller})) == found
    assert _vague_calls(_read({**sources, "apps/one/upstairs/views.py": caller})) == found


def _modules() -> Modules:
    paths = files("apps", "bench", "config", "local")
    return _read({str(path.relative_to(ROOT)): path.read_text() for path in paths})


def _read(sources: Mapping[str, str]) -> Modules:
    """Return the modules by name, from their source by path."""
    found = {}
    for path, text in sources.items():
        folder, _, file = path.removesuffix(".py").replace("/", ".").rpartition(".")
        name = folder if file == "__init__" else f"{folder}.{file}"
        found[name] = Module(name, folder, ast.parse(text))
    return found


def _vague_calls(modules: Modules) -> set[str]:
    """Return `module:function` and `module:Class.method` of vague signatures that another package uses."""
    vague = _vague_names(modules)
    return {
        f"{module.name}:{'.'.join(filter(None, (owner, name)))}"
        for module in modules.values()
        for owner, name, function in module.functions
        if _has_vague_signature(function, {name for where, name in vague if where == module.name})
        and any(
            not owner or name in user.attributes for user in _users(module, owner or name, modules)
        )
    }


def _users(module: Module, name: str, modules: Modules) -> Iterator[Module]:
    """Return the modules of other packages that use this name, directly or through a module that imports it."""
    names = {(module.name, name)}
    for handing in modules.values():
        names |= {(handing.name, alias) for alias, it in handing.imported.items() if it in names}
    yield from (m for m in modules.values() if m.package != module.package and names & m.used)


def _vague_names(modules: Modules) -> set[tuple[str, str]]:
    """Return (module, name) of every alias of a vague type, where it is defined and wherever it is imported."""
    found = {(module.name, alias) for module in modules.values() for alias in module.aliases}
    while True:
        handed = {
            (module.name, name)
            for module in modules.values()
            for name, it in module.imported.items()
            if it in found
        }
        if handed <= found:
            return found
        found |= handed


def _has_vague_signature(function: Function, aliases: set[str]) -> bool:
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    annotations = [*(one.annotation for one in every), function.returns]
    return any(
        _is_vague(ast.unparse(annotation)) or bool(aliases & _names(annotation))
        for annotation in annotations
        if annotation is not None
    )


def _names(annotation: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)}


def _is_vague(annotation: str) -> bool:
    return any(word in annotation for word in VAGUE)
