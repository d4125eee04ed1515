"""Validate the code of a custom source: syntax, imports, structure, streams, settings, hosts.

This helps the author; it is not a security boundary. The sandbox decides what the code may do.
"""

from __future__ import annotations

import ast

from apps.engine.authoring import hosts, imports, settings, streams, text
from apps.engine.authoring.classes import Classes, SourceClass
from apps.engine.authoring.report import Report

DESCRIPTION = 1000  # characters
NAME = 200

BIZON_METHODS = (
    "streams",
    "get_config_class",
    "get_authenticator",
    "check_connection",
    "get_total_records_count",
    "get",
)


def validate(code: str) -> Report:
    """Return the report. Never raises because of the contents of `code`."""
    report = Report()
    with text.bounded(report):
        tree = text.parsed(code, report)
        if tree is not None:
            _read(tree, report)
    report.messages.sort(key=lambda one: (one.line, one.column))
    return report


def _read(tree: ast.Module, report: Report) -> None:
    known = imports.check(tree, report)
    classes = Classes(tree, known)
    found = list(classes.sources())
    if not found:
        report.error(None, "There is no source class; derive one from drover.RestSource or Source.")
    for extra in found[1:]:
        report.error(
            extra.node, "A custom source must have exactly one source class; this is a second one."
        )
    if found:
        _describe(found[0], classes, report)
    report.hosts = hosts.asked_for(tree, found[0] if found else None, report)
    text.warn_of_unsupported_calls(tree, report)


def _describe(source: SourceClass, classes: Classes, report: Report) -> None:
    report.source_name = source.node.name[:NAME]
    report.contract = source.contract
    report.description = (ast.get_docstring(source.node) or "")[:DESCRIPTION]
    report.streams = streams.declared(source, report)
    settings.read(source, classes, report)
    _require_methods(source, report)


def _require_methods(source: SourceClass, report: Report) -> None:
    if source.contract == "bizon":
        for name in BIZON_METHODS:
            if not source.has(name):
                report.error(source.node, f"AbstractSource requires a method {name}.")
    elif source.contract == "source" and not source.has("get"):
        report.error(source.node, "A Source must define get(pagination).")
    elif source.contract == "rest" and source.value("base_url") is None:
        report.error(source.node, 'A RestSource must define base_url = "https://…".')
    get = source.method("get")
    if get is not None and len(get.args.args) < 2 and get.args.vararg is None:
        report.error(get, "get must take the pagination: def get(self, pagination=None).")
