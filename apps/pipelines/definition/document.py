"""The stored document of a definition, and how to read it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Literal, NotRequired, TypedDict
from uuid import UUID

from apps.connectors import catalogue, secrets
from apps.engine.contract import SyncMode, WriteMode
from apps.json import JsonValue

Sent = Mapping[str, object]  # JSON from a request, not validated yet
SideName = Literal["source", "destination"]
SIDES: tuple[SideName, ...] = ("source", "destination")


class SideDocument(TypedDict):
    """A source or destination: a saved connector, or a kind with inline settings."""

    connector_id: str | None
    kind: str
    config: (
        dict[str, Any] | None
    )  # the settings, as the kind's schema defines them, without secrets; None with a connector
    version: NotRequired[int | None]  # version of a custom source; None means the latest approved


class TransformDocument(TypedDict):
    """A transformation of a stream's records between source and destination."""

    kind: Literal["python"]
    code: str


class StreamDocument(TypedDict):
    """What is read from the source, and how it is written."""

    stream: str
    table: str
    sync_mode: SyncMode
    cursor_field: str | None
    primary_key: list[str]
    write_mode: WriteMode
    transforms: list[TransformDocument]


class Document(TypedDict):
    """A definition; `streams` has exactly one element for now."""

    source: SideDocument
    streams: list[StreamDocument]
    destination: SideDocument


@dataclass(frozen=True)
class Definition:
    """A definition as stored.

    `document` must be masked before it is shown; `secrets` are its inline ones by path.
    """

    document: Document
    secrets: dict[str, Any] = field(default_factory=dict)

    @property
    def hints(self) -> dict[str, str]:
        return secrets.hints(self.secrets)

    @property
    def stream(self) -> StreamDocument:
        """The only stream."""
        (stream,) = self.document["streams"]
        return stream


def connector_ids(*documents: Sent) -> set[UUID]:
    """Return every valid connector id in the documents."""
    found = set()
    for document in documents:
        for side in SIDES:
            part = document.get(side)
            pk = uuid_of(part.get("connector_id")) if isinstance(part, Mapping) else None
            if pk:
                found.add(pk)
    return found


def python_of(built: Definition) -> str | None:
    """Return the code of the stream's Python transform, if it has one."""
    return next((one["code"] for one in built.stream["transforms"]), None)


def mask(document: Document, hints: Mapping[str, str]) -> Document:
    """Return the document with each inline secret as `{"set": true, "last4": …}`."""
    shown = deepcopy(document)
    for side in SIDES:
        part = shown[side]
        if part["config"] is None:
            continue
        kind = catalogue.find(side, part["kind"])
        own = below(hints, side)
        part["config"] = secrets.mask(part["config"], own, kind.secrets if kind else frozenset())
    return shown


def plain_config(built: Definition, side: SideName) -> dict[str, JsonValue]:
    """Return the inline settings of one side with their secrets."""
    return secrets.join(built.document[side]["config"] or {}, below(built.secrets, side))


def joined_document(built: Definition) -> Sent:
    """Return the document with its plain secrets, as in a request."""
    plain: dict[str, Any] = {**deepcopy(built.document)}
    for side in SIDES:
        if plain[side]["config"] is not None:
            plain[side]["config"] = plain_config(built, side)
        else:
            del plain[side]["config"]
    return plain


def below(by_path: Mapping[str, Any], side: SideName) -> dict[str, Any]:
    """Return the entries of one side's inline settings, by the path inside them."""
    start = f"{side}.config."
    return {p.removeprefix(start): v for p, v in by_path.items() if p.startswith(start)}


def uuid_of(value: Any) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
