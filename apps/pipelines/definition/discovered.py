"""Compare the streams of a definition with those that its saved source has listed, as far as that is known without asking it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from apps.connectors import schemas
from apps.connectors.checks import discoveries
from apps.connectors.checks.discoveries import FoundStreams
from apps.connectors.models import Connector
from apps.connectors.schemas import Error
from apps.engine.answers import Stream
from apps.orgs.models import Org
from apps.pipelines.definition.document import Definition, StreamDocument
from apps.pipelines.definition.fields import rules_of

# These sources declare all fields of a stream. The others have found them in its first records, and may have more.
DECLARING_KINDS = frozenset({"postgres", "dummy", "samples"})
MAX_LISTED = 10_000  # A source that lists so many streams may have more.
NOT_LISTED = (
    "The source has not listed its streams with these settings, so their names, their cursor fields, their primary keys and"
    " the new names of fields are not compared with it. The next run does that."
)


class Unchecked(NamedTuple):
    """A part of a definition that could not be compared with the source, and why."""

    field: str
    message: str


def listed_streams(org: Org, definition: Definition) -> FoundStreams | None:
    """Return what the saved source of the definition has listed within a day, or None."""
    source = definition.document["source"]
    if source["connector_id"] is None or source.get("version") is not None:
        return None
    return discoveries.read(org, Connector.objects.for_org(org).get(pk=source["connector_id"]))


def find_errors(org: Org, definition: Definition, *, kept: Definition | None = None) -> list[Error]:
    """Return the first errors of streams and fields that the source does not have, and of fields that would get one name.

    What a stream has in `kept` too is not compared, so that a table that is gone does not prevent other changes.
    """
    found = listed_streams(org, definition)
    if found is None:
        return []
    is_same_source = kept and kept.document["source"] == definition.document["source"]
    before = (
        {stream["stream"]: stream for stream in kept.streams} if kept and is_same_source else {}
    )
    errors = _errors(definition, _Listed(found, definition), before)
    return list(islice(errors, schemas.MAX_ERRORS))


def find_unchecked(org: Org, definition: Definition) -> list[Unchecked]:
    """Return the parts of a valid definition that could not be compared with the source."""
    if not definition.streams:
        return []
    found = listed_streams(org, definition)
    if found is None:
        return [Unchecked("streams", NOT_LISTED)]
    listed = _Listed(found, definition)
    return [] if listed.declares_fields else list(_fields_of_later_records(definition, listed))


class _Listed:
    """The listed streams by name. In PostgreSQL a name may have a schema that is left out, or other quotes."""

    def __init__(self, found: FoundStreams, definition: Definition) -> None:
        source = definition.document["source"]
        self.declares_fields = source["kind"] in DECLARING_KINDS
        self.is_complete = len(found["streams"]) < MAX_LISTED
        self.names = [stream["name"] for stream in found["streams"]]
        self._streams = {_plain(stream["name"]): stream for stream in found["streams"]}
        self._hints = 0
        time = f"{found['found_at']:%Y-%m-%d %H:%M} UTC" if found["found_at"] else "the last list"
        address = f"/api/v1/connectors/{source['connector_id']}/streams?refresh=true"
        self._advice = (
            f"This is as of {time}. If it is new, list the streams again (GET {address})."
        )

    def find(self, name: str) -> Stream | None:
        return self._streams.get(_plain(name))

    def advise(self, name: str, known: list[str]) -> str:
        """Return which names there are, and what to do. Only the first errors search similar names."""
        self._hints += 1
        names = f"; {schemas.hint(name, known)}" if self._hints <= schemas.MAX_HINTS else "."
        return f"{names} {self._advice}"


def _plain(name: str) -> str:
    return name.replace('"', "").removeprefix("public.")


def _errors(
    definition: Definition, listed: _Listed, before: Mapping[str, StreamDocument]
) -> Iterator[Error]:
    for number, stream in enumerate(definition.streams):
        former = before.get(stream["stream"])
        if former == stream:
            continue
        for part, message, code in _errors_of_stream(stream, former, listed):
            yield f"streams.{number}.{part}", message, code


def _errors_of_stream(
    stream: StreamDocument, former: StreamDocument | None, listed: _Listed
) -> Iterator[Error]:
    """Yield the errors of one stream. Their paths begin below it."""
    name = stream["stream"]
    found = listed.find(name)
    if found is None:
        if former is None and listed.is_complete:
            advice = listed.advise(name, listed.names)
            yield "stream", f"The source has no such stream{advice}", "unknown"
        return
    fields = [field["name"] for field in found["fields"]]
    if listed.declares_fields and fields:
        for part, field in _unknown_fields(stream, former, fields):
            advice = listed.advise(field, fields)
            yield part, f"The stream {name} has no field {field}{advice}", "unknown"
    if former is None or former.get("fields") != stream.get("fields"):
        yield from _taken_names(stream, fields)


def _unknown_fields(
    stream: StreamDocument, former: StreamDocument | None, fields: list[str]
) -> Iterator[tuple[str, str]]:
    """Yield the part of the stream and the name of each field that the source does not have."""
    cursor_field = stream["cursor_field"]
    is_new = former is None or former["cursor_field"] != cursor_field
    if cursor_field and is_new and cursor_field not in fields:
        yield "cursor_field", cursor_field
    if stream["transforms"]:  # They may add the fields of the key.
        return
    known = {*fields, *(former["primary_key"] if former else ())}
    for name in stream["primary_key"]:
        if name not in known:
            yield "primary_key", name


def _taken_names(stream: StreamDocument, fields: list[str]) -> Iterator[Error]:
    """Yield an error for each rule that gives a field the name of another field, which arrives with its own name."""
    rules = rules_of(stream)
    if rules.others == "drop":
        return
    unchanged = {*fields} - {rule.field for rule in rules.rules}
    for number, rule in enumerate(rules.rules):
        if rule.name in unchanged:
            message = f"The stream has another field {rule.name}: choose another name, or drop or rename that field."
            yield f"fields.rules.{number}.name", message, "duplicate"


def _fields_of_later_records(definition: Definition, listed: _Listed) -> Iterator[Unchecked]:
    for number, stream in enumerate(definition.streams):
        found = listed.find(stream["stream"])
        fields = {field["name"] for field in found["fields"]} if found else set()
        key = [] if stream["transforms"] else stream["primary_key"]
        for part, names in (("cursor_field", [stream["cursor_field"]]), ("primary_key", key)):
            unknown = [name for name in names if name and name not in fields]
            if unknown:
                message = f"The first records of {stream['stream']} have no field {', '.join(unknown)}. Later ones may have it."
                yield Unchecked(f"streams.{number}.{part}", message)
