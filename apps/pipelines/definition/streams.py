"""One stream of a pipeline: convert it from sent to stored form."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from apps.connectors import schemas
from apps.connectors.schemas import Error, joined
from apps.engine.contract import SyncMode, WriteMode
from apps.pipelines.definition.document import Sent, StreamDocument, TransformDocument

PLACE = "streams.0"  # path of the only stream
FIELDS = tuple(StreamDocument.__annotations__)
SYNC_MODES: tuple[str, ...] = get_args(SyncMode)
WRITE_MODES: tuple[str, ...] = get_args(WriteMode)
# Letters, digits, _ and - are valid in every destination; one dot separates a schema or folder from the name.
TABLE = re.compile(r"[^\W\d][\w-]{0,62}(\.[^\W\d][\w-]{0,62})?")
MAX_CODE = 100_000  # characters of a transform
MAX_KEYS = 32  # columns of a primary key, as in PostgreSQL


class Stream:
    """The only stream of a document while it is converted from sent to stored form, with its errors.

    `known` are the names of the source's streams, if they are known. Fields that are left out keep the values
    of `before` if the stream is the same.
    """

    def __init__(self, known: Sequence[str], before: StreamDocument | None = None) -> None:
        self.known = known
        self.before = before
        self.errors: list[Error] = []

    def fail(self, name: str, message: str, code: str) -> None:
        self.errors.append((joined(PLACE, name), message, code))

    def build(self, sent: Any) -> dict[str, Any]:
        """Return the stored stream.

        A write mode that was left out stays empty, because it depends on the destination.
        """
        only = self._only(sent)
        if only is None:
            return {}
        self.errors += schemas.unknown_fields(only, FIELDS, PLACE)
        given = self._patched(only)
        transforms, found = build_transforms(given.get("transforms"), f"{PLACE}.transforms")
        self.errors += found
        name = self._name(given.get("stream"))
        return {
            "stream": name,
            "table": self._table(given.get("table")) or table_for(name),
            "sync_mode": self._word(given, "sync_mode", SYNC_MODES, SYNC_MODES[0]),
            "cursor_field": self._column(given.get("cursor_field"), "cursor_field"),
            "primary_key": self._primary_key(given.get("primary_key")),
            "write_mode": self._word(given, "write_mode", WRITE_MODES, None),
            "transforms": transforms,
        }

    def _only(self, sent: Any) -> Sent | None:
        """Return the element of the list, which must be one object."""
        if sent is None:
            self.errors.append(("streams", "This field is required.", "required"))
        elif not isinstance(sent, list):
            self.errors.append(("streams", "Must be a list with one stream.", "type"))
        elif not sent:
            message = "A pipeline needs a stream: name the stream to read."
            self.errors.append(("streams", message, "required"))
        elif len(sent) > 1:
            message = "A pipeline supports one stream for now; create a pipeline for each stream."
            self.errors.append(("streams", message, "max_length"))
        elif not isinstance(sent[0], Mapping):
            self.fail("", "Must be an object.", "type")
        else:
            return sent[0]
        return None

    def _patched(self, given: Sent) -> Sent:
        before = self.before
        if before is None or given.get("stream", before["stream"]) != before["stream"]:
            return given
        return {**before, **given}

    def _name(self, name: Any) -> str:
        if not isinstance(name, str) or not name.strip():
            self.fail("stream", "This field is required.", "required")
            return ""
        if len(name) > 200:
            self.fail("stream", "At most 200 characters.", "max_length")
        if self.known and name not in self.known:
            near = get_close_matches(name[:200], self.known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(self.known[:10])}."
            self.fail("stream", f"This source has no such stream; {hint}", "unknown")
        return name

    def _word(
        self, given: Sent, name: str, words: tuple[str, ...], default: str | None
    ) -> str | None:
        value = given.get(name)
        if value is None:
            return default
        if value not in words:
            self.fail(name, f"Must be one of {', '.join(words)}.", "choice")
            return default
        return str(value)

    def _column(self, value: Any, name: str) -> str | None:
        if value in (None, ""):
            return None
        if not isinstance(value, str) or len(value) > 200:
            self.fail(name, "Must be the name of a field, at most 200 characters.", "type")
            return None
        return value

    def _primary_key(self, value: Any) -> list[str]:
        if value is None:
            return []
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list) or len(value) > MAX_KEYS:
            self.fail("primary_key", f"Must be a list of at most {MAX_KEYS} fields.", "type")
            return []
        columns = [self._column(name, f"primary_key.{n}") for n, name in enumerate(value)]
        if None in columns or len(set(columns)) < len(columns):
            self.fail(
                "primary_key", "Each field must be listed once, and none may be empty.", "invalid"
            )
        return [name for name in columns if name]

    def _table(self, value: Any) -> str | None:
        if value in (None, ""):
            return None
        if not isinstance(value, str) or not TABLE.fullmatch(value):
            message = (
                "A name of letters, digits, _ and -, starting with a letter or _, at most 63 "
                "characters; one dot may separate a schema from the table."
            )
            self.fail("table", message, "invalid")
            return None
        return value


def table_for(stream: str) -> str:
    """Return a table name for a stream's name: its last part, with other characters replaced by underscores."""
    name = re.sub(r"\W+", "_", stream.rpartition(".")[2].rpartition("/")[2]).strip("_") or "records"
    return (name if not name[0].isdigit() else f"_{name}")[:63]


def build_transforms(given: Any, path: str) -> tuple[list[TransformDocument], list[Error]]:
    """Return the stored transforms, and their errors; fields are named below `path`."""
    if not isinstance(given, list | None):
        return [], [(path, "Must be a list.", "type")]
    if not given:
        return [], []
    if len(given) > 1:
        message = "A stream has at most one Python transform: combine the steps in it."
        return [], [(path, message, "max_length")]
    errors = _transform_errors(given[0], f"{path}.0")
    return ([] if errors else [{"kind": "python", "code": given[0]["code"]}]), errors


def _transform_errors(given: Any, path: str) -> list[Error]:
    if not isinstance(given, Mapping):
        return [(path, "Must be an object.", "type")]
    errors = schemas.unknown_fields(given, tuple(TransformDocument.__annotations__), path)
    if given.get("kind") != "python":
        errors.append((f"{path}.kind", "Must be python.", "choice"))
    code = given.get("code")
    if not isinstance(code, str) or not code.strip():
        errors.append((f"{path}.code", "This field is required.", "required"))
    elif len(code) > MAX_CODE:
        errors.append((f"{path}.code", f"At most {MAX_CODE:,} characters.", "max_length"))
    return errors
