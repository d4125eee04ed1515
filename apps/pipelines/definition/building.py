"""Convert the document of a request to a definition, and name each error by its field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from apps.connectors import schemas
from apps.connectors.catalogue import Kind
from apps.connectors.custom_sources.kinds import Kinds
from apps.connectors.schemas import Error, joined
from apps.pipelines.definition.document import SIDES, Definition, Document, Sent, SideName
from apps.pipelines.definition.sides import Connectors, Side
from apps.pipelines.definition.streams import PLACE, Stream, build_transforms

PARTS = ("source", "streams", "destination")
# Where each field was before definitions had `streams`; those of a side were inside that side.
MOVED: Mapping[SideName, tuple[str, ...]] = {
    "source": ("stream", "sync_mode", "cursor_field", "primary_key"),
    "destination": ("table", "write_mode"),
}
MOVED_PART = "transforms"


def build(
    sent: Sent,
    *,
    connectors: Connectors,
    before: Definition | None = None,
    patch: bool = False,
) -> tuple[Definition, list[Error]]:
    """Return the new definition, and its errors; fields are named as in `source.config.port`.

    With `patch` each side and the stream are merged into their previous values; otherwise only stored secrets
    are kept. With errors the definition is incomplete and must not be used.
    """
    builder = _Builder(connectors, before, patch=patch)
    builder.errors += schemas.unknown_fields(sent.keys() - {MOVED_PART}, PARTS)
    builder.read_source(sent)
    builder.read_side("destination", sent)
    if not builder.errors:
        builder.errors += _together(builder.document, connectors.kinds)
    return builder.definition(), builder.errors


def build_source(sent: Sent, *, connectors: Connectors) -> tuple[Definition, list[Error]]:
    """Return a definition for a preview: only the source and the stream are validated, and there is no destination."""
    builder = _Builder(connectors, None, patch=False)
    builder.read_source(sent)
    return builder.definition(), builder.errors


def with_transforms(
    built: Definition, transforms: Any, path: str
) -> tuple[Definition, list[Error]]:
    """Return the same definition with other transforms. Errors are named below `path`."""
    kept, errors = build_transforms(transforms, path)
    document: Document = {
        **built.document,
        "streams": [{**built.stream, "transforms": kept}],
    }
    return Definition(document, built.secrets), errors


class _Builder:
    """A document while it is converted from sent to stored form, part by part."""

    def __init__(self, connectors: Connectors, before: Definition | None, *, patch: bool) -> None:
        self.connectors, self.before, self.patch = connectors, before, patch
        self.document: dict[str, Any] = {}
        self.secrets: dict[str, Any] = {}
        self.errors: list[Error] = []

    def read_source(self, sent: Sent) -> None:
        self.errors += _moved(sent)
        source = self.read_side("source", sent)
        before = self.before.stream if self.before and self.patch else None
        stream = Stream(source.streams, before)
        given = [before] if before and "streams" not in sent else sent.get("streams")
        self.document["streams"] = [stream.build(given)]
        self.errors += stream.errors

    def read_side(self, name: SideName, sent: Sent) -> Side:
        side = Side(name, self.before, patch=self.patch)
        given = sent.get(name)
        if isinstance(given, Mapping):
            given = {field: value for field, value in given.items() if field not in MOVED[name]}
        self.document[name], plain = side.build(given, self.connectors)
        self.secrets |= {joined(name, "config", path): value for path, value in plain.items()}
        self.errors += side.errors
        return side

    def definition(self) -> Definition:
        return Definition(cast(Document, self.document), self.secrets)


def _moved(sent: Sent) -> list[Error]:
    """Return an error for each field that is at the place used by an older release."""
    places = [
        (joined(side, name), name)
        for side in SIDES
        for name in MOVED[side]
        if isinstance(part := sent.get(side), Mapping) and name in part
    ]
    if MOVED_PART in sent:
        places.append((MOVED_PART, MOVED_PART))
    return [(old, f"This field has moved to {PLACE}.{name}.", "moved") for old, name in places]


def _together(document: dict[str, Any], kinds: Kinds) -> list[Error]:
    """Fill in the write mode, which depends on both sides, and refuse invalid combinations."""
    from_kind = kinds.find("source", document["source"]["kind"])
    to_kind = kinds.find("destination", document["destination"]["kind"])
    if from_kind is None or to_kind is None:
        raise LookupError("both kinds were found before")
    (stream,) = document["streams"]
    if stream["write_mode"] is None:
        stream["write_mode"] = _default_write_mode(stream, to_kind)
    found = [*_reading_errors(stream, from_kind), *_writing_errors(stream, to_kind)]
    return [(joined(PLACE, name), message, code) for name, message, code in found]


def _reading_errors(stream: Mapping[str, Any], from_kind: Kind) -> list[Error]:
    modes = from_kind.sync_modes(stream["stream"])
    incremental = stream["sync_mode"] == "incremental"
    if stream["sync_mode"] not in modes:
        message = f"This stream only supports {' or '.join(modes)}."
        return [("sync_mode", message, "unsupported")]
    if incremental and not stream["cursor_field"] and from_kind.needs_cursor:
        message = "An incremental sync of this source needs a cursor field."
        return [("cursor_field", message, "required")]
    return []


def _writing_errors(stream: Mapping[str, Any], to_kind: Kind) -> list[Error]:
    mode = stream["write_mode"]
    if mode not in to_kind.write_modes:
        message = f"{to_kind.title} only supports {' or '.join(to_kind.write_modes)}."
        return [("write_mode", message, "unsupported")]
    if mode == "merge" and not stream["primary_key"]:
        message = "Merging needs a primary key to decide which record replaces another."
        return [("primary_key", message, "required")]
    if mode == "replace" and stream["sync_mode"] == "incremental":
        message = "An incremental sync must append or merge; replacing would keep only new records."
        return [("write_mode", message, "unsupported")]
    return []


def _default_write_mode(stream: Mapping[str, Any], to_kind: Kind) -> str:
    if stream["sync_mode"] == "full_refresh":
        return "replace" if "replace" in to_kind.write_modes else to_kind.write_modes[0]
    return "merge" if stream["primary_key"] and "merge" in to_kind.write_modes else "append"
