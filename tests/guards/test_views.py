"""Views translate: each method parses, calls one verb, and renders. The rules are in the verbs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guards.source import ROOT, called, compare, files

# A room joins with one line once its verbs hold its rules.
ROOMS = (
    "apps/connectors",
    "apps/orgs/keys",
    "apps/orgs/members",
    "apps/pipelines",
    "apps/runs",
)
CHANGING = {"post", "put", "patch", "delete"}
# What finds, locks, allows, writes or records. A verb of that name is called with `by=`.
RULES = {
    "delete", "for_org", "one", "placed", "record", "require", "require_match", "save", "select_for_update", "visible",
}  # fmt: skip
MANAGERS = {"objects", "unscoped"}
WITHOUT_A_VERB = {
    "apps/orgs/members/invitation_views.py:ShownInvitation.post": "Reads; the secret of the link belongs in no URL.",
    "apps/connectors/custom_sources/views.py:Validate.post": "What is wrong with code that is in the body itself.",
    "apps/connectors/repositories/views.py:Hook.post": "A Git server has no principal: its signature is checked.",
    "apps/pipelines/schedules/views.py:Times.post": "The next times of a plan that is in the body itself.",
}


def test_a_view_that_changes_something_calls_one_verb() -> None:
    counts = {place: len(_verbs(method, view)) for place, method, view in _handlers()}
    assert [place for place, count in counts.items() if count > 1] == []
    without = {place for place, method, _ in _handlers() if _changes(method) and not counts[place]}
    compare(without, WITHOUT_A_VERB, what="views without a verb")


def test_no_view_holds_a_rule() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"
        for path in _view_files()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.expr) and _is_rule(node)
    ]
    assert found == []


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_has_views(room: str) -> None:
    assert any(path.is_relative_to(ROOT / room) for path in _view_files())


def _view_files() -> list[Path]:
    return [path for path in files(*ROOMS) if path.name.endswith("views.py")]


def _handlers() -> Iterator[tuple[str, ast.FunctionDef, ast.ClassDef]]:
    """(place, method, class) of every method that answers a request."""
    for path in _view_files():
        for view in ast.walk(ast.parse(path.read_text())):
            if isinstance(view, ast.ClassDef):
                for name, method in _methods(view).items():
                    if name in CHANGING | {"get"}:
                        yield f"{path.relative_to(ROOT)}:{view.name}.{name}", method, view


def _methods(view: ast.ClassDef) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in view.body if isinstance(node, ast.FunctionDef)}


def _changes(method: ast.FunctionDef) -> bool:
    return method.name in CHANGING


def _verbs(method: ast.FunctionDef, view: ast.ClassDef) -> set[ast.Call]:
    """The calls of verbs in the method, and in the methods of its class that it names."""
    found: set[ast.Call] = set()
    waiting, seen = [method], {method.name}
    while waiting:
        for node in ast.walk(waiting.pop()):
            if _is_verb(node):
                found.add(node)  # type: ignore[arg-type]
            elif isinstance(node, ast.Attribute) and node.attr not in seen:
                seen.add(node.attr)
                waiting += [each for name, each in _methods(view).items() if name == node.attr]
    return found


def _is_rule(node: ast.expr) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in MANAGERS
    return called(node) in RULES and not _is_verb(node)


def _is_verb(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and "by" in {word.arg for word in node.keywords}
