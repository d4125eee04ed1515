"""Validate the code of a Python transform: a function `transform(record)` that returns a value."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from apps.engine.authoring import imports, text
from apps.engine.authoring.report import Report

FUNCTION_NAME = "transform"
NETWORK_MODULES = frozenset({"requests", "httpx", "urllib3", "socket", "http", "aiohttp", "ftplib"})
Function = ast.FunctionDef | ast.AsyncFunctionDef


def validate(code: str) -> Report:
    """Return a report with messages only. Never raises because of the contents of `code`."""
    report = Report()
    with text.reporting_exhaustion(report):
        tree = text.parse_code(code, report)
        if tree is not None:
            _validate_tree(tree, report)
    report.messages.sort(key=lambda message: (message.line, message.column))
    return report


def _validate_tree(tree: ast.Module, report: Report) -> None:
    for name in imports.check_imports(tree, report).values():
        if name.partition(".")[0] in NETWORK_MODULES:
            report.warn(tree.body[0], f"{name} cannot connect: a transform has no network access.")
    _check_function(tree, report)
    text.warn_of_unsupported_calls(tree, report)


def _check_function(tree: ast.Module, report: Report) -> None:
    functions = [
        node for node in tree.body if isinstance(node, Function) and node.name == FUNCTION_NAME
    ]
    if not functions:
        if not _assigns_transform(tree):
            report.error(None, "Define a function transform(record).")
        return
    function = functions[-1]
    if isinstance(function, ast.AsyncFunctionDef):
        report.error(function, "transform must be a plain function: remove async.")
    if not _takes_one_argument(function.args):
        report.error(function, "transform must take one argument: def transform(record).")
    if not _returns_value(function):
        message = "transform returns nothing, which drops every record: end it with return record."
        report.error(function, message)


def _assigns_transform(tree: ast.Module) -> bool:
    """Whether an assignment defines `transform`. Then its parameters are known only when the code runs."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == FUNCTION_NAME for target in node.targets
        ):
            return True
    return False


def _takes_one_argument(arguments: ast.arguments) -> bool:
    positional = [*arguments.posonlyargs, *arguments.args]
    required_count = len(positional) - len(arguments.defaults)
    has_required_keywords = any(default is None for default in arguments.kw_defaults)
    return (
        required_count <= 1
        and not has_required_keywords
        and (len(positional) >= 1 or arguments.vararg is not None)
    )


def _returns_value(function: Function) -> bool:
    """Whether the function contains a `yield`, a `raise`, or a `return` with a value other than None."""
    return any(
        isinstance(node, ast.Yield | ast.YieldFrom)
        or (isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value))
        or isinstance(node, ast.Raise)
        for node in _own_nodes(function)
    )


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _own_nodes(function: Function) -> Iterator[ast.AST]:
    """Yield the syntax nodes of a function, without the nodes in nested functions and classes."""
    pending: list[ast.AST] = list(function.body)
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, Function | ast.Lambda | ast.ClassDef):
            pending.extend(ast.iter_child_nodes(node))
