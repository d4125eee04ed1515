"""Views, tasks and commands parse the input, call one action and render the result. Actions contain the rules."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guards.source import ROOT, assert_listed, called_name, python_files, syntax_tree

# An action has one of these parameters: the principal, user or operator who acts, or the sender of a public request.
ACTOR_PARAMETERS = {"by", "account", "operator", "client"}
CHANGING_METHODS = {"post", "put", "patch", "delete"}
# Functions that read, lock, check permissions or write. Views may call them only with one of ACTOR_PARAMETERS.
RULE_FUNCTIONS = {
    "atomic", "cursor", "delete", "for_org", "may", "may_somewhere", "find_object", "require_placement", "record", "require",
    "require_match", "save", "select_for_update", "visible_objects",
}  # fmt: skip
MANAGERS = {"objects", "unscoped"}
ALLOWED_RULES = {
    "apps/orgs/http/views.py": "The base class of every view in an org opens the scope and checks the permission.",
    "apps/orgs/management/commands/migrate.py": "Extends Django's own command with a transaction for each migration.",
}
VIEWS_WITHOUT_ACTION = {
    "apps/runs/backfills/views.py:BackfillEstimateView.post": "Asks the source in a helper that the creation of a backfill shares.",
    "apps/orgs/sign_in/invitation_views.py:InvitationDetails.post": "Only reads; a POST keeps the secret of the link out of the URL.",
    "apps/orgs/sign_in/account_views.py:EmailConfirmation.post": "The secret of the mailed link is its only input.",
    "apps/orgs/sign_in/provider_views.py:OwnProviderCheck.post": "Checks the issuer in the body and stores nothing.",
    "apps/connectors/custom_sources/views.py:Validate.post": "Validates the code in the body and stores nothing.",
    "apps/runs/hooks/views.py:CallHook.post": "A program without an account is not a principal. Its credential is checked.",
    "apps/connectors/repositories/views.py:Hook.post": "A Git server is not a principal. Its signature is checked.",
    "apps/pipelines/schedules/views.py:ScheduleOfWords.post": "Reads the schedule in the body and stores nothing.",
    "apps/pipelines/schedules/views.py:UnsavedScheduleTimes.post": "Computes the next times of the schedule in the body and stores nothing.",
}


def test_a_view_that_changes_something_calls_one_action() -> None:
    counts = {place: len(actions) for place, _, actions in _handlers()}
    assert [place for place, count in counts.items() if count > 1] == []
    views_without_action = {
        place for place, name, actions in _handlers() if name in CHANGING_METHODS and not actions
    }
    assert_listed(views_without_action, VIEWS_WITHOUT_ACTION, subject="views without an action")


def test_no_view_task_or_command_contains_a_rule() -> None:
    found: dict[str, list[str]] = {}
    for path in (*_view_files(), *_task_files(), *_command_files()):
        rules = [node for node in ast.walk(syntax_tree(path)) if _is_rule(node)]
        if rules:
            found[str(path.relative_to(ROOT))] = [ast.unparse(node) for node in rules]
    assert_listed(set(found), ALLOWED_RULES, subject=f"rules outside the actions ({found})")


@pytest.mark.parametrize(
    "code",
    [
        "Run.objects",
        "transaction.atomic()",
        "row.save()",
        "rows.select_for_update()",
        "by.require(x)",
    ],
)
def test_the_guard_recognizes_a_rule(code: str) -> None:
    assert any(_is_rule(node) for node in ast.walk(ast.parse(code)))


def test_a_task_consists_of_one_call() -> None:
    tasks = {
        f"{path.relative_to(ROOT)}:{task.name}": _is_one_call(task)
        for path in _task_files()
        for task in syntax_tree(path).body
        if isinstance(task, ast.FunctionDef)
    }
    assert len(tasks) > 10
    assert [place for place, is_one in tasks.items() if not is_one] == []


def test_the_guard_finds_the_views_of_all_apps() -> None:
    folders = {path.parent.relative_to(ROOT).as_posix() for path in _view_files()}
    assert len(folders) > 12
    assert {"apps/live", "apps/orgs/scim", "apps/orgs/sign_in", "apps/web"} <= folders
    assert sum(name == "post" for _, name, _ in _handlers()) > 50


def _view_files() -> list[Path]:
    return [path for path in python_files("apps") if path.name.endswith("views.py")]


def _task_files() -> list[Path]:
    return [path for path in python_files("apps") if path.name in {"tasks.py", "background.py"}]


def _command_files() -> list[Path]:
    return [path for path in python_files("apps") if path.parent.name == "commands"]


def _handlers() -> Iterator[tuple[str, str, set[ast.Call]]]:
    """Return (place, name, actions) of every request handler: methods of classes, and functions."""
    for path in _view_files():
        tree, path_in_repository = syntax_tree(path), path.relative_to(ROOT)
        auth_names = _auth_modules(tree)
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and _takes_request(node):
                yield (
                    f"{path_in_repository}:{node.name}",
                    node.name,
                    _action_calls(node, {}, auth_names),
                )
            elif isinstance(node, ast.ClassDef):
                methods = _methods(node, tree)
                for name in (CHANGING_METHODS | {"get"}) & _methods(node, None).keys():
                    yield (
                        f"{path_in_repository}:{node.name}.{name}",
                        name,
                        _action_calls(methods[name], methods, auth_names),
                    )


def _methods(view: ast.ClassDef, tree: ast.Module | None) -> dict[str, ast.FunctionDef]:
    """Return the methods of a class and of its bases in the same module."""
    bases = {base.id for base in view.bases if isinstance(base, ast.Name)}
    found: dict[str, ast.FunctionDef] = {}
    for node in tree.body if tree else ():
        if isinstance(node, ast.ClassDef) and node.name in bases:
            found |= _methods(node, tree)
    return found | {node.name: node for node in view.body if isinstance(node, ast.FunctionDef)}


def _action_calls(
    handler: ast.FunctionDef, methods: dict[str, ast.FunctionDef], auth_names: set[str]
) -> set[ast.Call]:
    """Return the calls of actions in the handler and in the methods of its class that it calls."""
    found: set[ast.Call] = set()
    methods_to_read, visited = [handler], {handler.name}
    while methods_to_read:
        for node in _walk_body(methods_to_read.pop()):
            if isinstance(node, ast.Call) and (_is_action(node) or _module_of(node) in auth_names):
                found.add(node)
            elif (name := _attribute_of_self(node)) in methods.keys() - visited:
                visited.add(name)
                methods_to_read.append(methods[name])
    return found


def _walk_body(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """Yield every node of the body. Decorators, which describe the route, are not included."""
    for statement in function.body:
        yield from ast.walk(statement)


def _attribute_of_self(node: ast.AST) -> str:
    """Return `name` for `self.name`, and an empty string for any other node."""
    is_attribute = isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self"
    return node.attr if is_attribute else ""  # type: ignore[attr-defined]


def _is_rule(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in MANAGERS
    return (
        isinstance(node, ast.Call) and called_name(node) in RULE_FUNCTIONS and not _is_action(node)
    )


def _is_action(call: ast.Call) -> bool:
    return bool(ACTOR_PARAMETERS & {word.arg for word in call.keywords})


def _auth_modules(tree: ast.Module) -> set[str]:
    """Return the imported modules of `apps.auth`. It has no principals, so every call of its functions is an action."""
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {name.name for node in imports if node.module == "apps.auth" for name in node.names}


def _module_of(call: ast.Call) -> str:
    """Return `accounts` for `accounts.rename()`."""
    function = call.func
    is_attribute = isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)
    return function.value.id if is_attribute else ""  # type: ignore[attr-defined]


def _takes_request(function: ast.FunctionDef) -> bool:
    first = function.args.args[:1]
    return bool(first) and ast.unparse(first[0].annotation or first[0]) == "HttpRequest"


def _is_one_call(task: ast.FunctionDef) -> bool:
    statements = task.body[1:] if ast.get_docstring(task) else task.body
    (statement,) = statements if len(statements) == 1 else (None,)
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
