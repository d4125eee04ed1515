"""Read the settings that a source declares in its `Config` class, as JSON Schema."""

from __future__ import annotations

import ast
from typing import Any

import orjson

from apps.engine.authoring.classes import UNKNOWN, Classes, SourceClass, arguments, literal
from apps.engine.authoring.report import Report
from apps.engine.reporting.redaction import is_secret_name

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
TYPES: dict[str, Schema] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "dict": {"type": "object"},
    "list": {"type": "array"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
    "SecretStr": {"type": "string"},
    "HttpUrl": {"type": "string", "format": "uri"},
    "AnyUrl": {"type": "string", "format": "uri"},
}
# For each authentication class of `drover`: its name, and the default setting of each of its parameters.
AUTHS: dict[str, tuple[str, dict[str, str]]] = {
    "drover.Bearer": ("bearer", {"token": "token"}),
    "drover.ApiKey": ("api_key", {"key": "api_key"}),
    "drover.Basic": ("basic", {"user": "user", "password": "password"}),
    "drover.OAuthRefresh": (
        "oauth",
        {
            "client_id": "client_id",
            "client_secret": "client_secret",
            "refresh_token": "refresh_token",
        },
    ),
}
AUTH_POSITIONS: dict[str, tuple[str, ...]] = {
    "drover.Bearer": ("token",),
    "drover.ApiKey": ("key", "header", "param"),
    "drover.Basic": ("user", "password"),
    "drover.OAuthRefresh": ("token_url", "client_id", "client_secret", "refresh_token"),
}
MAX_FIELDS = 100
DEEPEST_TYPE = 20  # nesting levels, as in list[list[...]]
LONGEST_VALUE = 8_000  # bytes of a default or of choices, as JSON
OF_BIZON = frozenset(
    {
        *("name", "stream", "source_file_path", "sync_mode", "cursor_field", "reset"),
        *("force_ignore_checkpoint", "max_iterations", "api_config", "http", "init_pipeline"),
    }
)


def read(source: SourceClass, classes: Classes, report: Report) -> None:
    """Fill in the report's schema, secrets and authentication type."""
    declared = _config_class(source, classes, report)
    properties: Schema = {}
    required: list[str] = []
    for body in reversed(classes.line(declared)) if declared else []:
        for node in body.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                _field(node, node.target.id, classes, report, properties, required)
    report.config_schema = {
        "$schema": DIALECT,
        "type": "object",
        "properties": properties,
        "required": sorted(set(required)),
        "additionalProperties": False,
    }
    report.secret_names = [name for name, made in properties.items() if made.get("writeOnly")]
    _auth(source, classes, properties, report)


def _config_class(source: SourceClass, classes: Classes, report: Report) -> ast.ClassDef | None:
    if source.contract == "bizon":
        method = source.method("get_config_class")
        returns = [n for n in ast.walk(method) if isinstance(n, ast.Return)] if method else []
        named = returns[0].value if len(returns) == 1 else None
    else:
        inner = source.inner("Config")
        if inner is not None:
            return inner
        named = source.value("Config")
    if named is None:
        return None
    found = classes.named(named.id) if isinstance(named, ast.Name) else None
    if found is None and classes.origin(named) != "bizon.source.config.SourceConfig":
        report.warn(named, "The settings can only be known by running the code.")
    return found


def _field(
    node: ast.AnnAssign,
    name: str,
    classes: Classes,
    report: Report,
    properties: Schema,
    required: list[str],
) -> None:
    if name.startswith("_") or name in OF_BIZON or name == "model_config":
        return
    if len(properties) >= MAX_FIELDS:
        report.error(node, f"A source has at most {MAX_FIELDS} settings.")
        return
    schema, optional = _type(node.annotation, classes, DEEPEST_TYPE)
    if schema is None:
        report.warn(node, f"The type of {name} is not supported in forms; any value is accepted.")
        schema = {}
    default, description, secret = _declared(node.value, classes)
    made: Schema = {**schema, "title": name.replace("_", " ").capitalize()}
    if description:
        made["description"] = description
    if secret or is_secret_name(name) or classes.origin(node.annotation).endswith("SecretStr"):
        made |= {"writeOnly": True, "format": "password"}
    elif made.get("type") == "string":
        # The code may build a URL from it, so a change of its value must not redirect stored secrets.
        made["x-place"] = True
    if default is not ... and default not in (UNKNOWN, None):
        made["default"] = default
    properties[name] = made
    if name in required:
        required.remove(name)
    if default is ... and not optional:
        required.append(name)


def _type(node: ast.expr, classes: Classes, deeper: int) -> tuple[Schema | None, bool]:
    """Return (schema, whether it may be omitted).

    The schema is None if the type is unsupported or nested too deeply.
    """
    if not deeper:
        return None, False
    if isinstance(node, ast.Constant) and isinstance(node.value, str):  # a quoted annotation
        try:
            return _type(ast.parse(node.value, mode="eval").body, classes, deeper - 1)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None, False
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        sides = [side for side in (node.left, node.right) if not _is_none(side)]
        return (_type(sides[0], classes, deeper - 1)[0], True) if len(sides) == 1 else (None, False)
    if isinstance(node, ast.Subscript):
        return _generic(node, classes, deeper - 1)
    name = classes.origin(node).rpartition(".")[2]
    return (dict(TYPES[name]), False) if name in TYPES else (None, False)


def _generic(node: ast.Subscript, classes: Classes, deeper: int) -> tuple[Schema | None, bool]:
    name = classes.origin(node.value).rpartition(".")[2]
    inner = node.slice
    if name == "Optional":
        return _type(inner, classes, deeper)[0], True
    if name == "Literal":
        values = _plain(inner)
        listed = list(values) if isinstance(values, tuple) else [values]
        return ({"enum": listed} if UNKNOWN not in listed else None), False
    if name in {"list", "List", "Sequence", "tuple"}:
        schema, _ = _type(inner, classes, deeper)
        return {"type": "array", "items": schema or {}}, False
    if name in {"dict", "Dict", "Mapping"}:
        return {"type": "object"}, False
    if name == "ClassVar":
        return None, True
    return None, False


def _plain(node: ast.AST | None) -> Any:
    """Return the value of a literal that a form can show; UNKNOWN if it is not JSON or too large."""
    value = literal(node)
    try:
        written = orjson.dumps(value)
    except (TypeError, RecursionError):  # sets, integers of more than 64 bits, lone surrogates
        return UNKNOWN
    return value if len(written) <= LONGEST_VALUE else UNKNOWN


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _declared(node: ast.expr | None, classes: Classes) -> tuple[Any, str, bool]:
    """Return (default, or `...` without one; description; whether it is declared as a secret)."""
    if node is None:
        return ..., "", False
    if not isinstance(node, ast.Call):
        return _plain(node), "", False
    origin = classes.origin(node.func)
    own = origin in {"drover.Field", "drover.Secret"}
    given = arguments(node, ("description", "default") if own else ("default",))
    default = _plain(given["default"]) if "default" in given else ...
    if not own and "default_factory" in given:
        default = UNKNOWN
    description = _plain(given.get("description"))
    secret = origin == "drover.Secret" or literal(given.get("secret")) is True
    return default, description if isinstance(description, str) else "", secret


def _auth(source: SourceClass, classes: Classes, properties: Schema, report: Report) -> None:
    node = source.value("auth")
    if not isinstance(node, ast.Call):
        return
    origin = classes.origin(node.func)
    if origin not in AUTHS:
        return
    report.auth_type, settings = AUTHS[origin]
    given = arguments(node, AUTH_POSITIONS[origin])
    for parameter, usual in settings.items():
        name = literal(given[parameter]) if parameter in given else usual
        if isinstance(name, str) and name not in properties:
            report.error(node, f"auth uses the setting {name!r}, which Config does not declare.")
