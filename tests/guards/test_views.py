"""Views, tasks and commands parse, call one action, and render. The rules are in the actions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.guards.source import ROOT, called, compare, files

# An action takes the acting principal, user, operator, or the sender of a public request.
ACTS = {"by", "account", "operator", "client"}
CHANGING = {"post", "put", "patch", "delete"}
# Names of functions that find, lock, permit, write or record. Such an action has one of the arguments above.
RULES = {
    "atomic", "cursor", "delete", "for_org", "may", "may_somewhere", "find_object", "require_placement", "record", "require",
    "require_match", "save", "select_for_update", "visible_objects",
}  # fmt: skip
MANAGERS = {"objects", "unscoped"}
WITH_RULES = {
    "apps/orgs/http/views.py": "The base of every view inside an org: it opens the scope and checks the permission.",
    "apps/orgs/management/commands/migrate.py": "Django's own command, with one transaction around each migration.",
}
WITHOUT_A_VERB = {
    "apps/orgs/sign_in/invitation_views.py:InvitationDetails.post": "Reads; the secret of the link belongs in no URL.",
    "apps/orgs/sign_in/account_views.py:EmailConfirmation.post": "The secret of the mailed link says all there is to say.",
    "apps/orgs/sign_in/provider_views.py:OwnProviderCheck.post": "Asks the issuer that is in the body itself.",
    "apps/connectors/custom_sources/views.py:Validate.post": "What is wrong with code that is in the body itself.",
    "apps/connectors/repositories/views.py:Hook.post": "A Git server has no principal: its signature is checked.",
    "apps/pipelines/schedules/views.py:Times.post": "The next times of a plan that is in the body itself.",
}


def test_a_view_that_changes_something_calls_one_verb() -> None:
    counts = {place: len(verbs) for place, _, verbs in _handlers()}
    assert [place for place, count in counts.items() if count > 1] == []
    without = {place for place, name, verbs in _handlers() if name in CHANGING and not verbs}
    compare(without, WITHOUT_A_VERB, what="views without a verb")


def test_no_view_task_or_command_holds_a_rule() -> None:
    found: dict[str, list[str]] = {}
    for path in (*_views(), *_tasks(), *_commands()):
        rules = [node for node in ast.walk(_tree(path)) if _is_rule(node)]
        if rules:
            found[str(path.relative_to(ROOT))] = [ast.unparse(node) for node in rules]
    compare(set(found), WITH_RULES, what=f"rules outside the verbs ({found})")


@pytest.mark.parametrize(
    "text",
    [
        "Run.objects",
        "transaction.atomic()",
        "row.save()",
        "rows.select_for_update()",
        "by.require(x)",
    ],
)
def test_the_guard_knows_a_rule(text: str) -> None:
    assert any(_is_rule(node) for node in ast.walk(ast.parse(text)))


def test_a_task_is_one_call() -> None:
    tasks = {
        f"{path.relative_to(ROOT)}:{task.name}": _is_one_call(task)
        for path in _tasks()
        for task in _tree(path).body
        if isinstance(task, ast.FunctionDef)
    }
    assert len(tasks) > 10
    assert [place for place, is_one in tasks.items() if not is_one] == []


def test_the_guard_looks_everywhere() -> None:
    folders = {path.parent.relative_to(ROOT).as_posix() for path in _views()}
    assert len(folders) > 12
    assert {"apps/live", "apps/orgs/scim", "apps/orgs/sign_in", "apps/web"} <= folders
    assert sum(name == "post" for _, name, _ in _handlers()) > 50


def _views() -> list[Path]:
    return [path for path in files("apps") if path.name.endswith("views.py")]


def _tasks() -> list[Path]:
    return [path for path in files("apps") if path.name in {"tasks.py", "background.py"}]


def _commands() -> list[Path]:
    return [path for path in files("apps") if path.parent.name == "commands"]


def _handlers() -> Iterator[tuple[str, str, set[ast.Call]]]:
    """Return (place, name, actions) of every request handler: methods of classes, and functions."""
    for path in _views():
        tree, where = _tree(path), path.relative_to(ROOT)
        in_auth = _modules_of_auth(tree)
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and _takes_request(node):
                yield f"{where}:{node.name}", node.name, _verbs(node, {}, in_auth)
            elif isinstance(node, ast.ClassDef):
                methods = _methods(node, tree)
                for name in (CHANGING | {"get"}) & _methods(node, None).keys():
                    yield (
                        f"{where}:{node.name}.{name}",
                        name,
                        _verbs(methods[name], methods, in_auth),
                    )


def _methods(view: ast.ClassDef, tree: ast.Module | None) -> dict[str, ast.FunctionDef]:
    """Return the methods of a class and of its bases in the same module."""
    bases = {base.id for base in view.bases if isinstance(base, ast.Name)}
    found: dict[str, ast.FunctionDef] = {}
    for node in tree.body if tree else ():
        if isinstance(node, ast.ClassDef) and node.name in bases:
            found |= _methods(node, tree)
    return found | {node.name: node for node in view.body if isinstance(node, ast.FunctionDef)}


def _verbs(
    handler: ast.FunctionDef, methods: dict[str, ast.FunctionDef], in_auth: set[str]
) -> set[ast.Call]:
    """Return the calls of actions in the handler, and in methods of its class that it uses."""
    found: set[ast.Call] = set()
    waiting, seen = [handler], {handler.name}
    while waiting:
        for node in _inside(waiting.pop()):
            if isinstance(node, ast.Call) and (_is_verb(node) or _module_of(node) in in_auth):
                found.add(node)
            elif (name := _of_self(node)) in methods.keys() - seen:
                seen.add(name)
                waiting.append(methods[name])
    return found


def _inside(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """Return every node of the body, without decorators, which describe the route."""
    for statement in function.body:
        yield from ast.walk(statement)


def _of_self(node: ast.AST) -> str:
    """Return `answer` of `self.answer`."""
    named = isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self"
    return node.attr if named else ""  # type: ignore[attr-defined]


def _is_rule(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in MANAGERS
    return isinstance(node, ast.Call) and called(node) in RULES and not _is_verb(node)


def _is_verb(call: ast.Call) -> bool:
    return bool(ACTS & {word.arg for word in call.keywords})


def _modules_of_auth(tree: ast.Module) -> set[str]:
    """Return modules of `apps.auth`, which has no principals: every function called in them is an action."""
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {name.name for node in imports if node.module == "apps.auth" for name in node.names}


def _module_of(call: ast.Call) -> str:
    """Return `accounts` of `accounts.rename()`."""
    function = call.func
    named = isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)
    return function.value.id if named else ""  # type: ignore[attr-defined]


def _takes_request(function: ast.FunctionDef) -> bool:
    first = function.args.args[:1]
    return bool(first) and ast.unparse(first[0].annotation or first[0]) == "HttpRequest"


def _is_one_call(task: ast.FunctionDef) -> bool:
    statements = task.body[1:] if ast.get_docstring(task) else task.body
    (only,) = statements if len(statements) == 1 else (None,)
    return isinstance(only, ast.Expr) and isinstance(only.value, ast.Call)


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())
