"""Find the hosts that the code needs: in its `hosts` list, in its base URL, and in the URLs of its strings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import islice

from apps.egress import allowlist
from apps.engine.authoring.classes import UNKNOWN, SourceClass, literal_value
from apps.engine.authoring.report import Report

_URL = re.compile(r"https?://([^/?#\s\"'<>]+)")
_PLACEHOLDER = re.compile(r"\{(\w+)(?:[^}\w][^}]*)?\}")
MAX_AUTHORITY_LENGTH = 1_000  # characters; no host name is longer
MAX_HOSTS_IN_STRINGS = 2_000  # the allow-list has far fewer entries


def find_hosts(tree: ast.Module, source: SourceClass | None, report: Report) -> list[str]:
    """Return the entries for the allow-list, without duplicates.

    An entry `{setting}` stands for the host in that setting.
    """
    entries: list[str] = []
    hosts_list = source.attribute("hosts") if source else None
    if hosts_list is not None:
        entries += _hosts_in_list(hosts_list, report)
    base_url = literal_value(source.attribute("base_url")) if source else UNKNOWN
    if isinstance(base_url, str):
        entries += _setting_in_base_url(
            base_url, source.attribute("base_url") if source else None, report
        )
    entries += islice(_hosts_in_strings(tree), MAX_HOSTS_IN_STRINGS)
    hosts = list(dict.fromkeys(entries))
    if len(hosts) > allowlist.MAX_HOSTS:
        report.error(hosts_list, f"A source can have at most {allowlist.MAX_HOSTS} hosts.")
    if source is not None and not hosts:
        report.warn(
            source.node,
            'No host was found in the code. List the hosts that it needs: hosts = ["…"].',
        )
    return hosts[: allowlist.MAX_HOSTS]


def _hosts_in_list(node: ast.expr, report: Report) -> list[str]:
    value = literal_value(node)
    if not isinstance(value, list | tuple) or not all(isinstance(host, str) for host in value):
        report.error(node, "hosts must be a literal list of host names.")
        return []
    for entry in value:
        problem = allowlist.entry_problem(entry)
        if problem:
            report.error(node, f"{problem}.")
    return [entry for entry in value if allowlist.entry_problem(entry) is None]


def _setting_in_base_url(url: str, node: ast.expr | None, report: Report) -> list[str]:
    """Return the entry of the setting that contains the host. `_hosts_in_strings` finds a host in the URL itself."""
    setting = _PLACEHOLDER.fullmatch(url.rstrip("/"))
    if setting:
        return [f"{{{setting[1]}}}"]
    if not _URL.match(url):
        setting = _PLACEHOLDER.match(url)
        if setting:
            return [f"{{{setting[1]}}}"]
        report.error(node, "base_url must start with https:// or with a {setting}.")
    return []


def _hosts_in_strings(tree: ast.Module) -> Iterator[str]:
    """Yield the hosts of the URLs in string literals other than docstrings."""
    docstring_ids = {id(node) for node in _find_docstrings(tree)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstring_ids
        ):
            yield from _hosts_in_text(node.value)


def _hosts_in_text(text: str) -> Iterator[str]:
    authorities = (match[1] for match in _URL.finditer(text))
    for authority in dict.fromkeys(authorities):
        entry = _allowlist_entry(authority) if len(authority) <= MAX_AUTHORITY_LENGTH else None
        if entry is not None and allowlist.entry_problem(entry) is None:
            yield entry


def _allowlist_entry(authority: str) -> str | None:
    host = authority.rpartition("@")[2].lower()
    setting = _PLACEHOLDER.fullmatch(host)
    if setting:
        return f"{{{setting[1]}}}"
    if "{" in host:
        _, dot, domain = host.rpartition("}")[2].partition(".")
        return f"*.{domain}" if dot and "." in domain else None
    return allowlist.host_of(f"https://{host}")


def _find_docstrings(tree: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                yield first.value
