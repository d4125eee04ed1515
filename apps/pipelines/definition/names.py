"""The names of tables: the default table of a stream, and the naming rule of a pipeline."""

from __future__ import annotations

import hashlib
import re
from typing import Any

# Letters, digits, _ and - are valid in every destination; one dot separates a schema or folder from the name.
TABLE_PATTERN = re.compile(r"[^\W\d][\w-]{0,62}(\.[^\W\d][\w-]{0,62})?")
MAX_TABLE_BYTES = 63  # longest name in PostgreSQL
RESERVED_PREFIX = "_drover_"  # of Drover's own tables in destinations
# Parts of letters, digits, _ and - with a dot, a slash or a space between them.
PLAIN_STREAM_NAME = re.compile(r"\w[\w-]*([./ ][\w-]+)*")
# The schema of a stream whose name has none, by the kind of the source. Other kinds have no schemas.
DEFAULT_SCHEMAS = {"postgres": "public"}
# A quoted or plain part: the schema, if there is one, and the name.
TWO_PARTS = re.compile(r'("(?:[^"]|"")*"|[^".]+)\.("(?:[^"]|"")*"|[^".]+)')
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
MAX_NAMING_LENGTH = 127


def is_valid_table(value: Any) -> bool:
    return (
        isinstance(value, str)
        and TABLE_PATTERN.fullmatch(value) is not None
        and all(len(part.encode()) <= MAX_TABLE_BYTES for part in value.split("."))
    )


def default_table(stream: str) -> str:
    """Return the default table of a stream: its name with its schema, such as `sales_orders` for `sales.orders`.

    The schema public is left out. If other characters had to be replaced, or if the name is too long or reserved, it
    ends in a digest, so that two streams do not get the same table.
    """
    plain_name = re.sub(r"^public\.(?=[^.]+$)", "", stream).strip("/ ")
    is_reserved = plain_name.lower().startswith(RESERVED_PREFIX)
    is_plain = PLAIN_STREAM_NAME.fullmatch(plain_name) is not None and not is_reserved
    name = _plain(plain_name, is_plain=is_plain)
    if is_plain and len(name.encode()) <= MAX_TABLE_BYTES:
        return name
    return with_digest(name, stream)


def _plain(text: str, *, is_plain: bool) -> str:
    """Return the text with only those characters that every destination accepts."""
    name = re.sub(r"[^\w-]+", "_", text).lstrip("-")
    name = (name if is_plain else name.strip("_")) or "records"
    return name if re.match(r"[^\W\d]", name) else f"_{name}"


def with_digest(table: str, stream: str) -> str:
    suffix = "_" + hashlib.sha256(stream.encode()).hexdigest()[:8]
    start = table.encode()[: MAX_TABLE_BYTES - len(suffix)].decode(errors="ignore")
    return start + suffix


def default_table_before_schemas(stream: str) -> str:
    """Return the default table of older releases: the last part of the stream's name, without its schema."""
    name = re.sub(r"\W+", "_", stream.rpartition(".")[2].rpartition("/")[2]).strip("_") or "records"
    return (name if not name[0].isdigit() else f"_{name}")[:63]


def full_name(kind: str, stream: str) -> str:
    """Return the stream's name with its schema, such as `public.orders` for the stream `orders` of PostgreSQL."""
    schema, name = schema_and_name(kind, stream)
    return f"{schema}.{name}" if schema else name


def schema_and_name(kind: str, stream: str) -> tuple[str, str]:
    """Return the schema of a stream and its name without it. Sources other than databases have no schemas."""
    default = DEFAULT_SCHEMAS.get(kind)
    if default is None:
        return "", stream
    parts = TWO_PARTS.fullmatch(stream)
    return (parts[1], parts[2]) if parts else (default, stream)


def naming_problem(naming: Any) -> str | None:
    """Return why the value is no naming rule, or None."""
    if not isinstance(naming, str) or len(naming) > MAX_NAMING_LENGTH:
        return f"Must be a text of at most {MAX_NAMING_LENGTH} characters, such as {{schema}}_{{table}}."
    unknown = set(PLACEHOLDER.findall(naming)) - {"schema", "table"}
    if unknown or "{table}" not in naming:
        return "Must contain {table}, and may contain {schema}: these are replaced for each stream."
    if not is_valid_table(PLACEHOLDER.sub("x", naming)):
        return (
            "Must make names of letters, digits, _ and -, starting with a letter or _; one dot may separate a "
            "schema from the table."
        )
    return None


def table_of(kind: str, stream: str, naming: str | None) -> str:
    """Return the table of a stream: by the naming rule, such as `raw.{schema}_{table}`, or its default table.

    A name that is too long, or in which characters had to be replaced, ends in a digest.
    """
    if not naming:
        return default_table(stream)
    schema, name = schema_and_name(kind, stream)
    # Without a schema its separator is left out too: `{schema}_{table}` becomes `orders`, not `_orders`.
    rule = naming if schema else re.sub(r"\{schema\}[._-]?|[._-]\{schema\}$", "", naming)
    parts = {"{schema}": schema, "{table}": name}
    is_plain = all(re.fullmatch(r"[\w-]*", part) for part in parts.values())
    table = re.sub(r"\{schema\}|\{table\}", lambda match: _cleaned(parts[match[0]]), rule)
    folder, dot, last = table.rpartition(".")
    if last.lower().startswith(RESERVED_PREFIX):
        is_plain, last = False, last.lstrip("_")
    if is_plain and is_valid_table(table):
        return table
    return f"{_short(folder)}{dot}{with_digest(_starting_with_letter(last), stream)}"


def _cleaned(part: str) -> str:
    return re.sub(r"[^\w-]+", "_", part).strip("_") or "records"


def _starting_with_letter(name: str) -> str:
    return name if re.match(r"[^\W\d]", name) else f"_{name}"


def _short(folder: str) -> str:
    name = _starting_with_letter(folder) if folder else ""
    return name.encode()[:MAX_TABLE_BYTES].decode(errors="ignore")
