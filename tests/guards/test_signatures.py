"""No function that other packages call has `dict[str, Any]` in its signature.

A package is the folder of an app, or a folder inside it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from tests.guards.source import ROOT, assert_listed, python_files, syntax_tree

VAGUE_TYPES = ("dict[str, Any]", "Mapping[str, Any]")  # the second also matches MutableMapping
ALLOWED = {
    "apps.agent.mcp.application:McpApplication.refuse_host": "The ASGI specification defines the scope as a dictionary.",
    "apps.web.files:send_stored_file": "The ASGI specification defines the scope and the messages as dictionaries.",
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    name: str
    package: str
    tree: ast.Module

    @cached_property
    def imported_names(self) -> dict[str, tuple[str, str]]:
        """Return (module, name) of the definition for each imported_names name."""
        return {
            alias.asname or alias.name: (node.module, alias.name)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        }

    @cached_property
    def used_names(self) -> set[tuple[str, str]]:
        """Return (module, name) of each imported_names name, and of each used attribute of an imported_names module."""
        names = set(self.imported_names.values())
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                module = ".".join(self.imported_names.get(node.value.id, ()))
                names.add((module, node.attr))
        return names

    @cached_property
    def attributes(self) -> set[str]:
        return {node.attr for node in ast.walk(self.tree) if isinstance(node, ast.Attribute)}

    @cached_property
    def aliases(self) -> set[str]:
        """Return the names that this module defines for vague types, as in `Record = dict[str, Any]`."""
        assignments = (
            node for node in self.tree.body if isinstance(node, ast.Assign | ast.AnnAssign)
        )
        return {
            name
            for node in assignments
            for name in [
                ast.unparse(node.target if isinstance(node, ast.AnnAssign) else node.targets[0])
            ]
            if name[0].isupper() and node.value is not None and _is_vague(node.value)
        }

    @property
    def functions(self) -> Iterator[tuple[str, str, Function]]:
        """Return (class or "", name, function) of every function and method."""
        for node in self.tree.body:
            if isinstance(node, Function):
                yield "", node.name, node
            elif isinstance(node, ast.ClassDef):
                methods = (member for member in node.body if isinstance(member, Function))
                yield from ((node.name, method.name, method) for method in methods)


Modules = Mapping[str, Module]


def test_no_function_that_another_package_calls_has_a_vague_signature() -> None:
    assert_listed(
        _used_vague_signatures(_modules_of_drover()),
        ALLOWED,
        subject="vague signatures of functions that other packages call",
    )


def test_the_guard_finds_functions_methods_aliases_and_re_exported_names() -> None:
    caller = "from apps.one import Thing, verbs\n\nverbs.save(verbs.load(), Thing().update([]))\n"
    sources = {
        "apps/one/words.py": "Record = dict[str, Any]\n",
        "apps/one/inside.py": "from apps.one.words import Record as Row\n",
        "apps/one/verbs.py": "from apps.one.inside import Row\n\ndef save(): ...\ndef load() -> Row: ...\n",
        "apps/one/things.py": "class Thing:\n    def update(self, rows: list[Mapping[str, Any]]) -> None: ...\n",
        "apps/one/__init__.py": "from apps.one.things import Thing\n",
        "apps/one/views.py": caller,
    }
    expected = {"apps.one.verbs:load", "apps.one.things:Thing.update"}
    assert _used_vague_signatures(_parse_modules(sources)) == set()
    assert (
        _used_vague_signatures(_parse_modules({**sources, "apps/two/views.py": caller})) == expected
    )
    assert (
        _used_vague_signatures(_parse_modules({**sources, "apps/one/inner/views.py": caller}))
        == expected
    )


def _modules_of_drover() -> Modules:
    paths = python_files("apps", "bench", "config", "local")
    return _name_modules({str(path.relative_to(ROOT)): syntax_tree(path) for path in paths})


def _parse_modules(sources: Mapping[str, str]) -> Modules:
    return _name_modules({path: ast.parse(text) for path, text in sources.items()})


def _name_modules(trees: Mapping[str, ast.Module]) -> Modules:
    """Return the modules by name, from their paths."""
    modules = {}
    for path, tree in trees.items():
        folder, _, file = path.removesuffix(".py").replace("/", ".").rpartition(".")
        name = folder if file == "__init__" else f"{folder}.{file}"
        modules[name] = Module(name, folder, tree)
    return modules


def _used_vague_signatures(modules: Modules) -> set[str]:
    """Return `module:function` or `module:Class.method` of each vague signature that another package uses."""
    vague = _vague_aliases(modules)
    return {
        f"{module.name}:{'.'.join(filter(None, (class_name, name)))}"
        for module in modules.values()
        for class_name, name, function in module.functions
        if _has_vague_signature(
            function, {name for defined_in, name in vague if defined_in == module.name}
        )
        and any(
            not class_name or name in caller.attributes
            for caller in _using_modules(module, class_name or name, modules)
        )
    }


def _using_modules(module: Module, name: str, modules: Modules) -> Iterator[Module]:
    """Return the modules of other packages that use this name, directly or through a module that imports it."""
    names = {(module.name, name)}
    for other in modules.values():
        names |= {
            (other.name, alias) for alias, origin in other.imported_names.items() if origin in names
        }
    yield from (m for m in modules.values() if m.package != module.package and names & m.used_names)


def _vague_aliases(modules: Modules) -> set[tuple[str, str]]:
    """Return (module, name) of every alias of a vague type, where it is defined and wherever it is imported_names."""
    found = {(module.name, alias) for module in modules.values() for alias in module.aliases}
    while True:
        imported_aliases = {
            (module.name, name)
            for module in modules.values()
            for name, origin in module.imported_names.items()
            if origin in found
        }
        if imported_aliases <= found:
            return found
        found |= imported_aliases


def _has_vague_signature(function: Function, aliases: set[str]) -> bool:
    arguments = function.args
    parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    annotations = [*(parameter.annotation for parameter in parameters), function.returns]
    return any(
        _is_vague(annotation) or bool(aliases & _names(annotation))
        for annotation in annotations
        if annotation is not None
    )


def _names(annotation: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)}


def _is_vague(annotation: ast.expr) -> bool:
    # Most annotations are names or constants. The text of the others is slow to make.
    if isinstance(annotation, ast.Name):
        return False
    return any(word in ast.unparse(annotation) for word in VAGUE_TYPES)
