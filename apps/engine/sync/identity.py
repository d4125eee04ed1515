"""Compute the identity of a run's stream, and what of an earlier sync stays valid for it.

Another attempt of the run continues a job only if the identity is the same. The next sync keeps the types of columns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from apps.engine.contract import RunSpec
from apps.engine.field_rules import NO_RULES, PROTECTIONS, FieldRules
from apps.engine.frames.decoding import SchemaJson, StreamSchema
from apps.engine.reporting.redaction import remove_secrets
from apps.engine.sources.base import StreamSource
from apps.engine.targets import place_of


@dataclass(frozen=True, slots=True)
class StreamInputs:
    """What a job's rows depend on besides the source: the code that makes them, the fields that order them, the table.

    `code` is a digest of a custom source's code, of the rules for the fields, of the transform and of the contract, and
    `snapshot_at` is the time of the snapshot that the streams of the run share. If one of them changes, an unfinished job
    cannot be continued, but the saved position of an incremental stream stays valid. If the key, the cursor field, the
    protection of a field or the table of the destination (`place`) changes, the saved position is not valid either.
    `effects` says which columns are cast, hashed or redacted (`FieldRules.effects`). `replayed_run` is the run whose
    rejected records the job sends again.
    """

    code: str
    cursor_field: str | None
    primary_key: tuple[str, ...]
    place: str
    effects: Mapping[str, str] = field(default_factory=dict)
    snapshot_at: str | None = None
    replayed_run: str | None = None

    def change_since(self, earlier: Mapping[str, Any] | None, *, is_same_table: bool) -> str:
        """Return in words what has changed since the saved position was reached; empty if it is still valid.

        The job of an older release has recorded no place, or nothing at all (`earlier` is None). `is_same_table` tells
        that the table is the same although its place has another name.
        """
        if earlier is None:
            return ""
        if not is_same_table and earlier.get("place", self.place) != self.place:
            return "The table of the destination changed"
        before, now = earlier["cursor_field"], self.cursor_field
        if before != now:
            return f"The cursor field changed from {before!r} to {now!r}"
        if tuple(earlier["primary_key"]) != self.primary_key:
            keys = [", ".join(key) or "none" for key in (earlier["primary_key"], self.primary_key)]
            return f"The primary key changed ({keys[0]} before, {keys[1]} now)"
        if columns := self._newly_protected(earlier):
            return f"Another protection of {', '.join(columns)} was chosen, and earlier records do not have it"
        return ""

    def _newly_protected(self, earlier: Mapping[str, Any]) -> list[str]:
        before = earlier.get("effects", {})
        return sorted(
            name
            for name in _changed_effects(before, self.effects)
            if {before.get(name), self.effects.get(name)} & {*PROTECTIONS}
        )


def _changed_effects(before: Mapping[str, str], now: Mapping[str, str]) -> set[str]:
    """Return the names of the columns that are cast, hashed or redacted in another way than before."""
    names = before.keys() | now.keys()
    return {name for name in names if before.get(name) != now.get(name)}


def pins_types(
    source: StreamSource, *, contract: str, write_mode: str | None, sync_mode: str | None
) -> bool:
    """Whether the columns keep the types of the sync before, which every contract but `evolve` compares."""
    replaces_all = write_mode == "replace" and sync_mode == "full_refresh"
    return not (contract == "evolve" and source.has_typed_columns and replaces_all)


def pinned_columns(
    columns: SchemaJson,
    *,
    earlier_effects: Mapping[str, str],
    fields: FieldRules,
    effects: Mapping[str, str],
) -> StreamSchema:
    """Return the `columns` of the sync before whose types are kept. A preview shows what a run would do, so it asks here too.

    They are without the columns that the rules for the fields drop or rename now, and without those that are cast,
    hashed or redacted in another way than before. `fields` are these rules, if no transform changes the records after
    them. `effects` are those of the rules now, and `earlier_effects` those of the sync before (`FieldRules.effects`).
    """
    earlier = StreamSchema.from_json(columns)
    gone = {name for name in earlier.columns if not fields.may_arrive(name)}
    return earlier.pin(without=gone, changed=_changed_effects(earlier_effects, effects))


@dataclass(frozen=True, slots=True)
class StreamIdentity:
    """The stream, with digests of settings. If `fingerprint` changes, its unfinished job cannot be continued.

    Older releases recorded `destination_settings` as the destination of a job.
    """

    key: str
    pipeline_prefix: str  # the beginning of the keys of all streams of the pipeline
    source: str
    stream: str
    sync_mode: str
    destination_kind: str
    destination: str  # digest of the table in the destination
    destination_settings: str  # digest of all settings of the destination
    fingerprint: str  # digest of the destination, the source and the modes
    inputs: StreamInputs
    fields: FieldRules = NO_RULES  # if no transform changes the records after them
    rereads_finished: bool = False  # whether a job of this run in an earlier snapshot is repeated
    # The stream and its destinations, whose newest finished job has decided the columns.
    columns_key: str = ""
    columns_destinations: tuple[str, ...] = ()
    # Whether the records never change, so that the job may be finished by any run, and is finished only once.
    is_done_once: bool = False


def identity_of(spec: RunSpec) -> StreamIdentity:
    """Compute the identity from the settings without secrets.

    A job that failed because of a wrong password can thus be continued with another password. The settings that only
    decide whether a result may be published are not part of it, so a run continues after they were changed.
    """
    source, target = spec.source, spec.destination
    folders = (
        [spec.data.prefix, target.shared_folder] if target.shared_folder else [spec.data.prefix]
    )
    # The saved position of the stream stays valid when a backfill or a replay publishes to the same table.
    beside = _beside_the_position(spec)
    config = remove_secrets(target.config)
    settings = [target.kind, config, target.table, spec.data.url, *folders]
    settings_digest = _digest([*settings, *beside[:1]])
    place = place_of(
        *(target.kind, config, target.table),
        shared_folder=target.shared_folder,
        own_folder=spec.data.prefix,
    )
    source_settings = [source.kind, remove_secrets(source.config), source.stream]
    modes = [
        source.sync_mode,
        source.cursor_field,
        target.write_mode,
        target.primary_key,
        *beside[1:],
    ]
    # The rows of such a run are of the types that the runs of the stream have decided.
    follows_live = spec.replay is not None or source.is_reread
    return StreamIdentity(
        key=spec.stream_key,
        pipeline_prefix=spec.pipeline_prefix,
        source=source.kind,
        stream=source.stream,
        sync_mode=source.sync_mode,
        destination_kind=target.kind,
        destination=_digest([place, beside[0]]) if beside else place,
        destination_settings=settings_digest,
        fingerprint=_digest([settings_digest, source_settings, modes]),
        inputs=StreamInputs(
            code=_code_digest(spec),
            cursor_field=source.cursor_field,
            primary_key=tuple(target.primary_key or source.primary_key),
            effects=spec.fields.effects(),
            snapshot_at=source.snapshot.at if source.snapshot else None,
            place=place,
            replayed_run=spec.replay.run_id if spec.replay else None,
        ),
        fields=NO_RULES if spec.transform else spec.fields,
        rereads_finished=source.snapshot is not None and source.snapshot.rereads_finished,
        columns_key=spec.live_key if follows_live else spec.stream_key,
        columns_destinations=(place, _digest(settings)) if follows_live else (),
        is_done_once=spec.replay is not None,
    )


def _beside_the_position(spec: RunSpec) -> list[Any]:
    """Return what identifies a run that neither reads nor changes the saved position; empty for other runs."""
    if spec.replay is not None:
        return ["replay", spec.replay.run_id]
    window = spec.source.window
    return ["backfill", asdict(window) if window else None] if spec.source.is_backfill else []


def _code_digest(spec: RunSpec) -> str:
    """Return the digest of what makes the records. Without rules and contract it is that of older releases."""
    texts: list[Any] = [code.text if code else None for code in (spec.source.code, spec.transform)]
    if spec.fields:
        texts.append(asdict(spec.fields))
    if spec.contract != "evolve":
        texts.append(spec.contract)
    return _digest(texts)


def _digest(value: Any) -> str:
    canonical = orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=str)
    return hashlib.sha256(canonical).hexdigest()
