"""Validate the code of a custom source: syntax, imports, structure, streams, settings, hosts.

The validation helps the author. It is not a security boundary: the sandbox limits what the code can do.
"""

from __future__ import annotations

import ast

from apps.engine.authoring import hosts, imports, settings, streams, text
from apps.engine.authoring.classes import Classes, SourceClass
from apps.engine.authoring.report import Report

MAX_DESCRIPTION = 1000  # characters
MAX_NAME_LENGTH = 200

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
    with text.reporting_exhaustion(report):
        tree = text.parse_code(code, report)
        if tree is not None:
            _validate_tree(tree, report)
    report.messages.sort(key=lambda message: (message.line, message.column))
    return report


def _validate_tree(tree: ast.Module, report: Report) -> None:
    imported_names = imports.check_imports(tree, report)
    classes = Classes(tree, imported_names)
    source_classes = list(classes.source_classes())
    if not source_classes:
        report.error(
            None, "There is no source class. Derive a class from drover.RestSource or Source."
        )
    for extra_class in source_classes[1:]:
        report.error(
            extra_class.node,
            "A custom source must have exactly one source class. Remove this additional class.",
        )
    if source_classes:
        _describe_source(source_classes[0], classes, report)
    report.hosts = hosts.find_hosts(tree, source_classes[0] if source_classes else None, report)
    text.warn_of_unsupported_calls(tree, report)


def _describe_source(source: SourceClass, classes: Classes, report: Report) -> None:
    report.source_name = source.node.name[:MAX_NAME_LENGTH]
    report.contract = source.contract
    report.description = (ast.get_docstring(source.node) or "")[:MAX_DESCRIPTION]
    report.streams = streams.read_streams(source, report)
    settings.read_settings(source, classes, report)
    _require_methods(source, report)


def _require_methods(source: SourceClass, report: Report) -> None:
    if source.contract == "bizon":
        for name in BIZON_METHODS:
            if not source.defines(name):
                report.error(source.node, f"AbstractSource requires a method {name}.")
    elif source.contract == "source" and not source.defines("get"):
        report.error(source.node, "A Source must define get(pagination).")
    elif source.contract == "rest" and source.attribute("base_url") is None:
        report.error(source.node, 'A RestSource must define base_url = "https://…".')
    get = source.method("get")
    if get is not None and len(get.args.args) < 2 and get.args.vararg is None:
        report.error(get, "get must take the pagination: def get(self, pagination=None).")
