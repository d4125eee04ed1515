"""The definition of a pipeline: from the document a person sends to what a version stores.

`{"source": {connector_id | kind + config, stream, sync_mode, cursor_field, primary_key},
  "destination": {connector_id | kind + config, table, write_mode},
  "transforms": [{kind: "python", code}]}`, the last of which may be left out. Settings come from a saved connector or are
inline; secrets of inline settings are stored apart, by paths like `source.config.password`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any
from uuid import UUID

from apps.connectors import catalogue, configuration, schemas, secrets
from apps.connectors.catalogue import Kind
from apps.connectors.configuration import StoredSettings
from apps.connectors.custom_sources import kinds as custom_kinds
from apps.connectors.custom_sources.kinds import Kinds
from apps.connectors.models import Connector
from apps.connectors.schemas import Error, joined

SIDES = ("source", "destination")
FIELDS = {
    "source": (
        "connector_id", "kind", "config", "version", "stream", "sync_mode", "cursor_field", "primary_key",
    ),
    "destination": ("connector_id", "kind", "config", "table", "write_mode"),
}  # fmt: skip
PARTS = (*SIDES, "transforms")
SYNC_MODES = ("full_refresh", "incremental")
WRITE_MODES = ("replace", "append", "merge")
# Letters, digits, _ and - in every destination; one dot separates a schema or folder from the name.
TABLE = re.compile(r"[^\W\d][\w-]{0,62}(\.[^\W\d][\w-]{0,62})?")
HIGHEST = 2**31 - 1  # number of a version
MOST_CODE = 100_000  # characters of a transform
MOST_KEYS = 32  # columns of a primary key, as in PostgreSQL


@dataclass(frozen=True)
class Definition:
    """A definition as stored: `document` may be shown once masked; `secrets` are its inline ones by path."""

    document: dict[str, Any]
    secrets: dict[str, Any] = field(default_factory=dict)

    @property
    def hints(self) -> dict[str, str]:
        return secrets.hints(self.secrets)


class Connectors:
    """The saved connectors and the kinds a document may name, read once."""

    def __init__(
        self, usable: Iterable[Connector], kinds: Kinds = custom_kinds.NONE_OF_ITS_OWN
    ) -> None:
        self._by_id = {(row.role, row.pk): row for row in usable}
        self.kinds = kinds

    def find(self, role: str, pk: UUID) -> Connector | None:
        return self._by_id.get((role, pk))


def connector_ids(*documents: Mapping[str, Any]) -> set[UUID]:
    """Every well-formed connector id the documents name."""
    found = set()
    for document in documents:
        for side in SIDES:
            part = document.get(side)
            pk = _uuid(part.get("connector_id")) if isinstance(part, Mapping) else None
            if pk:
                found.add(pk)
    return found


def settle(
    sent: Mapping[str, Any],
    *,
    connectors: Connectors,
    before: Definition | None = None,
    patch: bool = False,
) -> tuple[Definition, list[Error]]:
    """The new definition, and what is wrong with it; fields are named as in `source.config.port`.

    With `patch` each side is merged into what it was before, else only its stored secrets are kept.
    """
    errors = schemas.unknown_fields(sent, PARTS)
    document: dict[str, Any] = {}
    kept: dict[str, Any] = {}
    for side in SIDES:
        draft = _Side(side, before, patch=patch)
        part, plain = draft.settle(sent.get(side), connectors)
        document[side] = part
        kept.update({joined(side, "config", path): value for path, value in plain.items()})
        errors += draft.errors
    errors += _settle_transforms(sent, document, before if patch else None)
    if not errors:
        errors = _together(document, connectors.kinds)
    return Definition(document, kept), errors


def settle_source(
    sent: Mapping[str, Any], *, connectors: Connectors
) -> tuple[Definition, list[Error]]:
    """A definition of which only the source and the transforms are looked at, for a preview."""
    draft = _Side("source", None, patch=False)
    part, plain = draft.settle(sent.get("source"), connectors)
    kept = {joined("source", "config", path): value for path, value in plain.items()}
    document = {"source": part}
    errors = draft.errors + _settle_transforms(sent, document, None)
    return Definition(document, kept), errors


def with_transforms(settled: Definition, transforms: Any) -> tuple[Definition, list[Error]]:
    """The same definition with other transforms."""
    document = {name: part for name, part in settled.document.items() if name != "transforms"}
    errors = _settle_transforms({"transforms": transforms}, document, None)
    return Definition(document, settled.secrets), errors


def python_of(document: Mapping[str, Any]) -> str | None:
    """The code of the document's Python transform, if it has one."""
    return next((one["code"] for one in document.get("transforms", ())), None)


def mask(document: Mapping[str, Any], hints: Mapping[str, str]) -> dict[str, Any]:
    """The document as a person sees it: each inline secret as `{"set": true, "last4": …}`."""
    shown = deepcopy(dict(document))
    for side in SIDES:
        part = shown.get(side) or {}
        if part.get("config") is None:
            continue
        kind = catalogue.find(side, part["kind"])
        own = _below(hints, side)
        part["config"] = secrets.mask(part["config"], own, kind.secrets if kind else frozenset())
    return shown


def plain_config(
    document: Mapping[str, Any], stored: Mapping[str, Any], side: str
) -> dict[str, Any]:
    """The inline settings of one side with their secrets."""
    return secrets.join(document[side]["config"], _below(stored, side))


def joined_document(definition: Definition) -> dict[str, Any]:
    """The document with its plain secrets, as a person would send it."""
    plain = deepcopy(definition.document)
    for side in SIDES:
        if plain[side]["config"] is not None:
            plain[side]["config"] = plain_config(plain, definition.secrets, side)
        else:
            del plain[side]["config"]
    return plain


def _settle_transforms(
    sent: Mapping[str, Any], document: dict[str, Any], before: Definition | None
) -> list[Error]:
    """Put the transforms into the document, which has no such part when there are none."""
    given = sent.get("transforms")
    if "transforms" not in sent and before is not None:
        given = before.document.get("transforms")
    if not isinstance(given, list | None):
        return [("transforms", "Must be a list.", "type")]
    if not given:
        return []
    if len(given) > 1:
        message = "A pipeline has one Python transform: put the steps into it."
        return [("transforms", message, "max_length")]
    errors = _transform_errors(given[0])
    if not errors:
        document["transforms"] = [{"kind": "python", "code": given[0]["code"]}]
    return errors


def _transform_errors(given: Any) -> list[Error]:
    path = "transforms.0"
    if not isinstance(given, Mapping):
        return [(path, "Must be an object.", "type")]
    errors = schemas.unknown_fields(given, ("kind", "code"), path)
    if given.get("kind") != "python":
        errors.append((f"{path}.kind", "Must be python.", "choice"))
    code = given.get("code")
    if not isinstance(code, str) or not code.strip():
        errors.append((f"{path}.code", "This field is required.", "required"))
    elif len(code) > MOST_CODE:
        errors.append((f"{path}.code", f"At most {MOST_CODE:,} characters.", "max_length"))
    return errors


def _below(by_path: Mapping[str, Any], side: str) -> dict[str, Any]:
    start = f"{side}.config."
    return {p.removeprefix(start): v for p, v in by_path.items() if p.startswith(start)}


class _Side:
    """One side of a document on its way from sent to stored, collecting its errors."""

    def __init__(self, side: str, before: Definition | None, *, patch: bool) -> None:
        self.side = side
        self.patch = patch
        self.before: dict[str, Any] = dict(before.document[side]) if before else {}
        self.secrets = _below(before.secrets, side) if before else {}
        self.errors: list[Error] = []

    def fail(self, name: str, message: str, code: str = "invalid") -> None:
        self.errors.append((joined(self.side, name), message, code))

    def settle(self, sent: Any, connectors: Connectors) -> tuple[dict[str, Any], dict[str, Any]]:
        """(the side as stored, its plain secrets by path below config)."""
        if sent is None and not (self.patch and self.before):
            self.fail("", "This field is required.", "required")
            return {}, {}
        if not isinstance(sent, Mapping | None):
            self.fail("", "Must be an object.", "type")
            return {}, {}
        given = dict(sent or {})
        self.errors += schemas.unknown_fields(given, FIELDS[self.side], self.side)
        if self.patch:
            given = self._patched(given)
        part: dict[str, Any] = {"connector_id": None, "kind": None, "config": None}
        kind, plain = self._connection(given, part, connectors)
        if kind:
            self._pin(given, part, kind)
            self._details(given, part, self._streams(kind, part, connectors))
        return part, plain

    def _pin(self, given: Mapping[str, Any], part: dict[str, Any], kind: Kind) -> None:
        """The version of a custom source, null for the latest approved; other kinds have none."""
        number = given.get("version")
        if custom_kinds.id_of(kind.name) is not None:
            part["version"] = number
        elif number is not None:
            self.fail("version", "Only a custom source has versions.", "unknown")
            return
        if number is not None and not (type(number) is int and 1 <= number <= HIGHEST):
            self.fail("version", "Must be the number of a version, or null.", "type")

    def _streams(self, kind: Kind, part: Mapping[str, Any], connectors: Connectors) -> list[str]:
        """Names known without connecting: the kind's, or those the settings themselves define."""
        config = part["config"]
        if part["connector_id"]:
            connector = connectors.find(self.side, UUID(part["connector_id"]))
            config = connector.config if connector else None
        defined = (config or {}).get("streams")
        listed = defined if isinstance(defined, list) else []
        named = [stream.get("name") for stream in listed if isinstance(stream, dict)]
        return kind.streams or [name for name in named if isinstance(name, str)]

    def _patched(self, given: dict[str, Any]) -> dict[str, Any]:
        """What was not sent stays; naming another connector or kind leaves the old one behind."""
        base = {k: v for k, v in self.before.items() if k != "config"}
        if given.get("connector_id"):
            base.pop("kind", None)
        elif given.get("kind") or given.get("config") is not None:
            base.pop("connector_id", None)
        base.update(given)
        if base.get("config") is None and self._same_kind(base) and not base.get("connector_id"):
            base["config"] = {}
        return base

    def _same_kind(self, given: Mapping[str, Any]) -> bool:
        return self.before.get("config") is not None and self.before["kind"] == given.get("kind")

    def _connection(
        self, given: Mapping[str, Any], part: dict[str, Any], connectors: Connectors
    ) -> tuple[Kind | None, dict[str, Any]]:
        if given.get("connector_id") is not None:
            return self._saved(given, part, connectors), {}
        name = given.get("kind")
        if not isinstance(name, str) or not name:
            self.fail("kind", "Name a connector_id, or a kind with its config.", "required")
            return None, {}
        kind = connectors.kinds.find(self.side, name)
        if kind is None:
            field = joined(self.side, "kind")
            self.errors.append(custom_kinds.unknown(self.side, name[:60], field))
            return None, {}
        return kind, self._inline(kind, given, part)

    def _saved(
        self, given: Mapping[str, Any], part: dict[str, Any], connectors: Connectors
    ) -> Kind | None:
        pk = _uuid(given["connector_id"])
        connector = connectors.find(self.side, pk) if pk else None
        if connector is None:
            self.fail(
                "connector_id",
                f"There is no {self.side} connector here with this id that you may use.",
                "unknown",
            )
            return None
        if given.get("config") is not None:
            self.fail("config", "The settings are the connector's; leave this out.", "ambiguous")
        if given.get("kind") not in (None, connector.kind):
            self.fail("kind", f"The connector is of kind {connector.kind}.", "mismatch")
        part["connector_id"], part["kind"] = str(connector.pk), connector.kind
        kind = connectors.kinds.find(self.side, connector.kind)
        if kind is None:
            self.fail("connector_id", f"Its kind {connector.kind} cannot be used.", "unknown")
        return kind

    def _inline(self, kind: Kind, given: Mapping[str, Any], part: dict[str, Any]) -> dict[str, Any]:
        sent = given.get("config")
        if sent is None:
            sent = {}
        if not isinstance(sent, Mapping):
            self.fail("config", "Must be an object.", "type")
            return {}
        same = self._same_kind({"kind": kind.name})
        before = (
            StoredSettings(self.before["config"], self.secrets) if same else configuration.EMPTY
        )
        settled, found = configuration.settle(
            kind, sent, before=before, patch=self.patch and same, path=joined(self.side, "config")
        )
        self.errors += found
        part["kind"], part["config"] = kind.name, settled.shown
        return settled.secrets

    def _details(self, given: Mapping[str, Any], part: dict[str, Any], streams: list[str]) -> None:
        if self.side == "source":
            part["stream"] = self._stream(given.get("stream"), streams)
            part["sync_mode"] = self._word(given, "sync_mode", SYNC_MODES, SYNC_MODES[0])
            part["cursor_field"] = self._column(given.get("cursor_field"), "cursor_field")
            part["primary_key"] = self._primary_key(given.get("primary_key"))
        else:
            part["table"] = self._table(given.get("table"))
            part["write_mode"] = self._word(given, "write_mode", WRITE_MODES, None)

    def _stream(self, name: Any, known: list[str]) -> str:
        if not isinstance(name, str) or not name.strip():
            self.fail("stream", "This field is required.", "required")
            return ""
        if len(name) > 200:
            self.fail("stream", "At most 200 characters.", "max_length")
        if known and name not in known:
            near = get_close_matches(name[:200], known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(known[:10])}."
            self.fail("stream", f"This source has no such stream; {hint}", "unknown")
        return name

    def _word(
        self, given: Mapping[str, Any], name: str, words: tuple[str, ...], default: str | None
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
        if not isinstance(value, list) or len(value) > MOST_KEYS:
            self.fail("primary_key", f"Must be a list of at most {MOST_KEYS} fields.", "type")
            return []
        columns = [self._column(name, f"primary_key.{n}") for n, name in enumerate(value)]
        if None in columns or len(set(columns)) < len(columns):
            self.fail("primary_key", "Each field once, none of them empty.", "invalid")
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


def _together(document: dict[str, Any], kinds: Kinds) -> list[Error]:
    """Fill in what follows from the other side, and refuse what does not go together."""
    source, destination = document["source"], document["destination"]
    from_kind = kinds.find("source", source["kind"])
    to_kind = kinds.find("destination", destination["kind"])
    if from_kind is None or to_kind is None:
        raise LookupError("both kinds were found before")
    incremental = source["sync_mode"] == "incremental"
    if destination["table"] is None:
        destination["table"] = table_for(source["stream"])
    if destination["write_mode"] is None:
        destination["write_mode"] = _default_write_mode(source, to_kind)
    errors: list[Error] = []
    modes = from_kind.sync_modes(source["stream"])
    if source["sync_mode"] not in modes:
        message = f"This stream can only do {' or '.join(modes)}."
        errors.append(("source.sync_mode", message, "unsupported"))
    elif incremental and not source["cursor_field"] and from_kind.needs_cursor:
        message = "An incremental sync of this source needs the field to follow."
        errors.append(("source.cursor_field", message, "required"))
    mode = destination["write_mode"]
    if mode not in to_kind.write_modes:
        message = f"{to_kind.title} can only {' or '.join(to_kind.write_modes)}."
        errors.append(("destination.write_mode", message, "unsupported"))
    elif mode == "merge" and not source["primary_key"]:
        message = "Merging needs a primary key to tell which record replaces which."
        errors.append(("source.primary_key", message, "required"))
    elif mode == "replace" and incremental:
        message = "An incremental sync appends or merges; replacing would leave only what is new."
        errors.append(("destination.write_mode", message, "unsupported"))
    return errors


def _default_write_mode(source: Mapping[str, Any], to_kind: Kind) -> str:
    if source["sync_mode"] == "full_refresh":
        return "replace" if "replace" in to_kind.write_modes else to_kind.write_modes[0]
    return "merge" if source["primary_key"] and "merge" in to_kind.write_modes else "append"


def table_for(stream: str) -> str:
    """A table name made from a stream's: its last part, with other characters as underscores."""
    name = re.sub(r"\W+", "_", stream.rpartition(".")[2].rpartition("/")[2]).strip("_") or "records"
    return (name if not name[0].isdigit() else f"_{name}")[:63]


def _uuid(value: Any) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
