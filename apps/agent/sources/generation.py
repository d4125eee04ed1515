"""Generate the code of a REST source from its plan. The same plan always gives the same code.

Every text of the plan becomes a Python literal, so that no text of a document can become code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from apps.agent.sources.plan import (
    Authentication,
    FixedValue,
    Pagination,
    PlannedStream,
    SourcePlan,
)

INDENT = "    "
MAX_LINE = 100
# For each kind of authentication: the class, and the settings with their descriptions. "!" marks a secret.
AUTHENTICATION_SETTINGS: dict[str, tuple[tuple[str, bool, str], ...]] = {
    "none": (),
    "bearer": (("token", True, "Access token of the API"),),
    "basic": (("user", False, "User name"), ("password", True, "Password")),
    "header_key": (("api_key", True, "API key"),),
    "query_key": (("api_key", True, "API key"),),
    "client_credentials": (
        ("client_id", False, "Client id of your app"),
        ("client_secret", True, "Client secret of your app"),
    ),
    "refresh_token": (
        ("client_id", False, "Client id of your app"),
        ("client_secret", True, "Client secret of your app"),
        ("refresh_token", True, "Refresh token of your app"),
    ),
}
PAGINATION_CLASSES = {
    "page": "PageNumber",
    "offset": "Offset",
    "cursor": "Cursor",
    "link_header": "LinkHeader",
    "next_url": "NextUrl",
}


def generate(plan: SourcePlan) -> str:
    """Return the code: one class derived from drover.RestSource."""
    body = [
        *_documentation(plan),
        f"base_url = {_literal(plan.base_url)}",
        *_assignment("auth", _authentication(plan.authentication)),
        *_assignment("paging", _pagination(_common_pagination(plan))),
        *([f"headers = {_mapping(plan.headers)}"] if plan.headers else []),
        *_streams(plan),
        *_config(plan),
    ]
    class_lines = [f"class {class_name(plan.name)}(RestSource):", *_indented(body)]
    return "\n".join([f"from drover import {', '.join(_imports(body))}", "", "", *class_lines, ""])


def class_name(name: str) -> str:
    """Return a class name in ASCII for the name of the source, such as PetStore for "pet store"."""
    words = re.findall(r"[A-Za-z0-9]+", name)
    joined = "".join(word[0].upper() + word[1:] for word in words)[:60]
    return joined if joined and not joined[0].isdigit() else f"Source{joined}"


def _documentation(plan: SourcePlan) -> list[str]:
    text = " ".join((plan.description or plan.name).split())
    plain = "".join(character for character in text if character.isprintable())
    plain = re.sub(r"[\\\"]", "'", plain)
    return [f'"""{plain}"""', ""]


def _assignment(name: str, expression: str) -> list[str]:
    return [f"{name} = {expression}"] if expression else []


def _authentication(authentication: Authentication) -> str:
    name, url = _literal(authentication.name), _literal(authentication.token_url)
    return {
        "none": "",
        "bearer": 'Bearer("token")',
        "basic": 'Basic("user", "password")',
        "header_key": f'ApiKey("api_key", header={name})',
        "query_key": f'ApiKey("api_key", param={name})',
        "client_credentials": f"OAuthClientCredentials({url})",
        "refresh_token": f"OAuthRefresh({url})",
    }[authentication.kind]


def _pagination(pagination: Pagination) -> str:
    if pagination.kind == "none":
        return ""
    return f"{PAGINATION_CLASSES[pagination.kind]}({', '.join(_paging_arguments(pagination))})"


def _paging_arguments(pagination: Pagination) -> Iterator[str]:
    parameter = _literal(pagination.parameter)
    if pagination.kind in ("cursor", "next_url"):
        yield _literal(pagination.field)
    if pagination.kind in ("page", "offset") and pagination.size:
        yield f"size={pagination.size}"
    if pagination.kind in ("page", "offset", "cursor"):
        yield f"param={parameter}"
    if pagination.kind in ("page", "offset") and pagination.size_parameter:
        yield f"size_param={_literal(pagination.size_parameter)}"
    if pagination.kind == "page" and pagination.start != 1:
        yield f"start={pagination.start}"


def _common_pagination(plan: SourcePlan) -> Pagination:
    """Return the pagination of all streams, or none if they differ: then each stream has its own."""
    first = plan.streams[0].pagination
    return first if all(stream.pagination == first for stream in plan.streams) else Pagination()


def _streams(plan: SourcePlan) -> list[str]:
    common = _common_pagination(plan)
    lines = ["streams = ["]
    for stream in plan.streams:
        lines += _indented(_stream(stream, common))
    return [*lines, "]"]


def _stream(stream: PlannedStream, common: Pagination) -> list[str]:
    arguments = list(_stream_arguments(stream, common))
    line = f"Stream({', '.join(arguments)}),"
    if len(line) <= MAX_LINE - 2 * len(INDENT):
        return [line]
    return ["Stream(", *_indented(f"{argument}," for argument in arguments), "),"]


def _stream_arguments(stream: PlannedStream, common: Pagination) -> Iterator[str]:
    yield _literal(stream.name)
    yield f"path={_literal(stream.path)}"
    if stream.parent:
        yield f"parent={_literal(stream.parent)}"
    if stream.records:
        yield f"records={_literal(stream.records)}"
    if stream.parameters:
        yield f"params={_mapping(stream.parameters)}"
    if stream.primary_key:
        keys = stream.primary_key
        yield f"primary_key={_literal(keys[0]) if len(keys) == 1 else _list(keys)}"
    if stream.cursor_field and stream.since:
        yield f"cursor_field={_literal(stream.cursor_field)}"
        yield f"since={_literal(stream.since)}"
    if stream.pagination != common:
        yield f"paging={_pagination(stream.pagination)}"


def _config(plan: SourcePlan) -> list[str]:
    """Return the class with the settings. Settings of the plan that authentication needs too appear once."""
    needed = AUTHENTICATION_SETTINGS[plan.authentication.kind]
    lines = [_declaration(name, secret, text) for name, secret, text in needed]
    names = {name for name, _, _ in needed}
    for setting in plan.settings:
        if setting.name not in names:
            default = None if setting.default is None else _literal(setting.default)
            lines.append(_declaration(setting.name, False, setting.description, default))
    return ["", "class Config:", *_indented(lines)] if lines else []


def _declaration(name: str, secret: bool, description: str, default: str | None = None) -> str:
    arguments = [_literal(description)] if description else []
    arguments += [f"default={default}"] if default is not None else []
    return f"{name}: str = {'Secret' if secret else 'Field'}({', '.join(arguments)})"


def _imports(body: Iterable[str]) -> list[str]:
    """Return the names that the code uses, found outside of its texts."""
    code = re.sub(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'", "", "\n".join(body))
    names = {"RestSource", *re.findall(r"\b([A-Z]\w+)\(", code)}
    return sorted(names)


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"{INDENT}{line}" if line else "" for line in lines]


def _mapping(values: Iterable[FixedValue]) -> str:
    return f"{{{', '.join(f'{_literal(v.name)}: {_literal(v.value)}' for v in values)}}}"


def _list(values: Iterable[str]) -> str:
    return f"[{', '.join(_literal(value) for value in values)}]"


def _literal(text: str) -> str:
    """Return the text as a Python literal, with double quotes where that is possible, and in ASCII."""
    literal = ascii(text)
    inner = literal[1:-1]
    return (
        f'"{inner}"' if literal[0] == "'" and '"' not in inner and "\\'" not in inner else literal
    )
