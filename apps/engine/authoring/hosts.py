"""Find the hosts that the code needs: its `hosts` list, its base URL, and every URL written in it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import islice

from apps.egress import allowlist
from apps.engine.authoring.classes import UNKNOWN, SourceClass, literal
from apps.engine.authoring.report import Report

_URL = re.compile(r"https?://([^/?#\s\"'<>]+)")
_PLACEHOLDER = re.compile(r"\{(\w+)(?:[^}\w][^}]*)?\}")
LONGEST_AUTHORITY = 1_000  # characters; no host name is longer
MAX_ADDRESSES = 2_000  # URLs examined; the resulting list is limited to far fewer


def asked_for(tree: ast.Module, source: SourceClass | None, report: Report) -> list[str]:
    """Return allow-list entries, each once, in the order of the code.

    `{setting}` is replaced by that setting's host.
    """
    found: list[str] = []
    listed = source.value("hosts") if source else None
    if listed is not None:
        found += _listed(listed, report)
    base = literal(source.value("base_url")) if source else UNKNOWN
    if isinstance(base, str):
        found += _of_base(base, source.value("base_url") if source else None, report)
    found += islice(_written(tree), MAX_ADDRESSES)
    hosts = list(dict.fromkeys(found))
    if len(hosts) > allowlist.MAX_HOSTS:
        report.error(listed, f"At most {allowlist.MAX_HOSTS} hosts.")
    if source is not None and not hosts:
        report.warn(
            source.node, 'No URL was found in the code: list the hosts it needs, hosts = ["…"].'
        )
    return hosts[: allowlist.MAX_HOSTS]


def _listed(node: ast.expr, report: Report) -> list[str]:
    value = literal(node)
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        report.error(node, "hosts must be a literal list of host names.")
        return []
    for entry in value:
        problem = allowlist.problem(entry)
        if problem:
            report.error(node, f"{problem}.")
    return [entry for entry in value if allowlist.problem(entry) is None]


def _of_base(url: str, node: ast.expr | None, report: Report) -> list[str]:
    whole = _PLACEHOLDER.fullmatch(url.rstrip("/"))
    if whole:
        return [f"{{{whole[1]}}}"]
    if not _URL.match(url):
        beginning = _PLACEHOLDER.match(url)
        if beginning:
            return [f"{{{beginning[1]}}}"]
        report.error(node, "base_url must start with https:// or with a {setting}.")
    return []


def _written(tree: ast.Module) -> Iterator[str]:
    """Find the hosts of URLs in string literals other than docstrings."""
    docs = {id(node) for node in _docstrings(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield from _of_text(node.value)


def _of_text(text: str) -> Iterator[str]:
    authorities = (match[1] for match in _URL.finditer(text))
    for authority in dict.fromkeys(authorities):
        entry = _entry(authority) if len(authority) <= LONGEST_AUTHORITY else None
        if entry is not None and allowlist.problem(entry) is None:
            yield entry


def _entry(authority: str) -> str | None:
    host = authority.rpartition("@")[2].lower()
    whole = _PLACEHOLDER.fullmatch(host)
    if whole:
        return f"{{{whole[1]}}}"
    if "{" in host:
        _, dot, rest = host.rpartition("}")[2].partition(".")
        return f"*.{rest}" if dot and "." in rest else None
    return allowlist.host_of(f"https://{host}")


def _docstrings(tree: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                yield first.value
