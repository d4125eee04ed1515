"""Read the settings that a source declares in its `Config` class, and describe them as JSON Schema."""

from __future__ import annotations

import ast
from typing import Any

import orjson

from apps.engine.authoring.classes import UNKNOWN, Classes, SourceClass, arguments, literal_value
from apps.engine.authoring.report import Report
from apps.engine.reporting.redaction import is_secret_name

Schema = dict[str, Any]
SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"
TYPE_SCHEMAS: dict[str, Schema] = {
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
# For each authentication class of `drover`: its type, and for each parameter that names a setting, the default name.
AUTH_TYPES: dict[str, tuple[str, dict[str, str]]] = {
    "drover.Bearer": ("bearer", {"token": "token"}),
    "drover.ApiKey": ("api_key", {"key": "api_key"}),
    "drover.Basic": ("basic", {"user": "user", "password": "password"}),
    "drover.OAuthClientCredentials": (
        "oauth",
        {"client_id": "client_id", "client_secret": "client_secret"},
    ),
    "drover.OAuthRefresh": (
        "oauth",
        {
            "client_id": "client_id",
            "client_secret": "client_secret",
            "refresh_token": "refresh_token",
        },
    ),
}
# For each authentication class: the names of its positional parameters.
AUTH_PARAMETERS: dict[str, tuple[str, ...]] = {
    "drover.Bearer": ("token",),
    "drover.ApiKey": ("key", "header", "param"),
    "drover.Basic": ("user", "password"),
    "drover.OAuthClientCredentials": ("token_url", "client_id", "client_secret", "scope"),
    "drover.OAuthRefresh": ("token_url", "client_id", "client_secret", "refresh_token"),
}
MAX_FIELDS = 100
MAX_TYPE_DEPTH = 20  # nesting levels, as in list[list[...]]
MAX_VALUE_BYTES = 8_000  # bytes of a default or of a list of choices, as JSON
BIZON_FIELDS = frozenset(
    {
        *("name", "stream", "source_file_path", "sync_mode", "cursor_field", "reset"),
        *("force_ignore_checkpoint", "max_iterations", "api_config", "http", "init_pipeline"),
    }
)


def read_settings(source: SourceClass, classes: Classes, report: Report) -> None:
    """Add the schema of the settings, the names of the secrets and the authentication type to the report."""
    config_class = _config_class(source, classes, report)
    properties: Schema = {}
    required: list[str] = []
    for class_node in reversed(classes.with_bases(config_class)) if config_class else []:
        for node in class_node.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                _add_field(node, node.target.id, classes, report, properties, required)
    report.config_schema = {
        "$schema": SCHEMA_DIALECT,
        "type": "object",
        "properties": properties,
        "required": sorted(set(required)),
        "additionalProperties": False,
    }
    report.secret_names = [
        name for name, field_schema in properties.items() if field_schema.get("writeOnly")
    ]
    _read_auth(source, classes, properties, report)


def _config_class(source: SourceClass, classes: Classes, report: Report) -> ast.ClassDef | None:
    if source.contract == "bizon":
        method = source.method("get_config_class")
        return_nodes = [n for n in ast.walk(method) if isinstance(n, ast.Return)] if method else []
        expression = return_nodes[0].value if len(return_nodes) == 1 else None
    else:
        inner_config = source.inner_class("Config")
        if inner_config is not None:
            return inner_config
        expression = source.attribute("Config")
    if expression is None:
        return None
    config_class = classes.find(expression.id) if isinstance(expression, ast.Name) else None
    if config_class is None and classes.origin(expression) != "bizon.source.config.SourceConfig":
        report.warn(expression, "The settings can only be known by running the code.")
    return config_class


def _add_field(
    node: ast.AnnAssign,
    name: str,
    classes: Classes,
    report: Report,
    properties: Schema,
    required: list[str],
) -> None:
    if name.startswith("_") or name in BIZON_FIELDS or name == "model_config":
        return
    if len(properties) >= MAX_FIELDS:
        report.error(node, f"A source has at most {MAX_FIELDS} settings.")
        return
    schema, is_optional = _type_schema(node.annotation, classes, MAX_TYPE_DEPTH)
    if schema is None:
        report.warn(node, f"The type of {name} is not supported in forms; any value is accepted.")
        schema = {}
    default, description, is_secret = _read_declaration(node.value, classes)
    field_schema: Schema = {**schema, "title": name.replace("_", " ").capitalize()}
    if description:
        field_schema["description"] = description
    if is_secret or is_secret_name(name) or classes.origin(node.annotation).endswith("SecretStr"):
        field_schema |= {"writeOnly": True, "format": "password"}
    elif field_schema.get("type") == "string":
        # The code may build a URL from this setting. A change of it must not send stored secrets to another host.
        field_schema["x-place"] = True
    if default is not ... and default not in (UNKNOWN, None):
        field_schema["default"] = default
    properties[name] = field_schema
    if name in required:
        required.remove(name)
    if default is ... and not is_optional:
        required.append(name)


def _type_schema(node: ast.expr, classes: Classes, levels_left: int) -> tuple[Schema | None, bool]:
    """Return the schema of a type annotation, and whether the setting is optional.

    The schema is None if the type is not supported or nested too deeply.
    """
    if not levels_left:
        return None, False
    if isinstance(node, ast.Constant) and isinstance(node.value, str):  # a quoted annotation
        try:
            return _type_schema(ast.parse(node.value, mode="eval").body, classes, levels_left - 1)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None, False
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        alternatives = [
            alternative for alternative in (node.left, node.right) if not _is_none(alternative)
        ]
        return (
            (_type_schema(alternatives[0], classes, levels_left - 1)[0], True)
            if len(alternatives) == 1
            else (None, False)
        )
    if isinstance(node, ast.Subscript):
        return _generic_schema(node, classes, levels_left - 1)
    name = classes.origin(node).rpartition(".")[2]
    return (dict(TYPE_SCHEMAS[name]), False) if name in TYPE_SCHEMAS else (None, False)


def _generic_schema(
    node: ast.Subscript, classes: Classes, levels_left: int
) -> tuple[Schema | None, bool]:
    name = classes.origin(node.value).rpartition(".")[2]
    argument = node.slice
    if name == "Optional":
        return _type_schema(argument, classes, levels_left)[0], True
    if name == "Literal":
        values = _json_literal(argument)
        choices = list(values) if isinstance(values, tuple) else [values]
        return ({"enum": choices} if UNKNOWN not in choices else None), False
    if name in {"list", "List", "Sequence", "tuple"}:
        schema, _ = _type_schema(argument, classes, levels_left)
        return {"type": "array", "items": schema or {}}, False
    if name in {"dict", "Dict", "Mapping"}:
        return {"type": "object"}, False
    if name == "ClassVar":
        return None, True
    return None, False


def _json_literal(node: ast.AST | None) -> Any:
    """Return the value of a literal, or UNKNOWN if it is not JSON or too large for a form."""
    value = literal_value(node)
    try:
        encoded = orjson.dumps(value)
    except (TypeError, RecursionError):  # sets, integers of more than 64 bits, lone surrogates
        return UNKNOWN
    return value if len(encoded) <= MAX_VALUE_BYTES else UNKNOWN


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _read_declaration(node: ast.expr | None, classes: Classes) -> tuple[Any, str, bool]:
    """Return the default (`...` if there is none), the description, and whether the setting is declared as secret."""
    if node is None:
        return ..., "", False
    if not isinstance(node, ast.Call):
        return _json_literal(node), "", False
    origin = classes.origin(node.func)
    is_drover_field = origin in {"drover.Field", "drover.Secret"}
    values = arguments(node, ("description", "default") if is_drover_field else ("default",))
    default = _json_literal(values["default"]) if "default" in values else ...
    if not is_drover_field and "default_factory" in values:
        default = UNKNOWN
    description = _json_literal(values.get("description"))
    is_secret = origin == "drover.Secret" or literal_value(values.get("secret")) is True
    return default, description if isinstance(description, str) else "", is_secret


def _read_auth(source: SourceClass, classes: Classes, properties: Schema, report: Report) -> None:
    node = source.attribute("auth")
    if not isinstance(node, ast.Call):
        return
    origin = classes.origin(node.func)
    if origin not in AUTH_TYPES:
        return
    report.auth_type, settings = AUTH_TYPES[origin]
    values = arguments(node, AUTH_PARAMETERS[origin])
    for parameter, default_setting in settings.items():
        name = literal_value(values[parameter]) if parameter in values else default_setting
        if isinstance(name, str) and name not in properties:
            report.error(node, f"auth uses the setting {name!r}, which Config does not declare.")
