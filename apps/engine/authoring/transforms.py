"""Validate the code of a Python transform: a function `transform(record)` that returns a value."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from apps.engine.authoring import imports, text
from apps.engine.authoring.report import Report

NAME = "transform"
WITHOUT_NETWORK = frozenset({"requests", "httpx", "urllib3", "socket", "http", "aiohttp", "ftplib"})
Scope = ast.FunctionDef | ast.AsyncFunctionDef


def validate(code: str) -> Report:
    """Return a report with messages only. Never raises because of the contents of `code`."""
    report = Report()
    with text.bounded(report):
        tree = text.parsed(code, report)
        if tree is not None:
            _read(tree, report)
    report.messages.sort(key=lambda one: (one.line, one.column))
    return report


def _read(tree: ast.Module, report: Report) -> None:
    for name in imports.check(tree, report).values():
        if name.partition(".")[0] in WITHOUT_NETWORK:
            report.warn(tree.body[0], f"{name} cannot connect: a transform has no network access.")
    _check(tree, report)
    text.warn_of_unsupported_calls(tree, report)


def _check(tree: ast.Module, report: Report) -> None:
    found = [node for node in tree.body if isinstance(node, Scope) and node.name == NAME]
    if not found:
        if not _binds(tree):
            report.error(None, "Define a function transform(record).")
        return
    function = found[-1]
    if isinstance(function, ast.AsyncFunctionDef):
        report.error(function, "transform must be a plain function: remove async.")
    if not _takes_one(function.args):
        report.error(function, "transform must take one argument: def transform(record).")
    if not _answers(function):
        message = "transform returns nothing, which drops every record: end it with return record."
        report.error(function, message)


def _binds(tree: ast.Module) -> bool:
    """Whether an assignment or an import binds the name, so that only running the code would show what it is."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == NAME for target in node.targets
        ):
            return True
    return False


def _takes_one(arguments: ast.arguments) -> bool:
    positional = [*arguments.posonlyargs, *arguments.args]
    needed = len(positional) - len(arguments.defaults)
    unnamed = sum(default is None for default in arguments.kw_defaults)
    return needed <= 1 and not unnamed and (len(positional) >= 1 or arguments.vararg is not None)


def _answers(function: Scope) -> bool:
    return any(
        isinstance(node, ast.Yield | ast.YieldFrom)
        or (isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value))
        or isinstance(node, ast.Raise)
        for node in _own(function)
    )


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _own(function: Scope) -> Iterator[ast.AST]:
    """Return the statements of a function without those of nested functions."""
    left: list[ast.AST] = list(function.body)
    while left:
        node = left.pop()
        yield node
        if not isinstance(node, Scope | ast.Lambda | ast.ClassDef):
            left.extend(ast.iter_child_nodes(node))
