"""Compute the identity of a run's stream. Another attempt of the run continues a job only if it is the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from apps.engine.contract import RunSpec
from apps.engine.reporting.redaction import remove_secrets


@dataclass(frozen=True, slots=True)
class StreamInputs:
    """What a job's rows depend on besides the source: the code that makes them, and the fields that order them.

    `code` is a digest of a custom source's code and of the transform, and `snapshot_at` is the time of the snapshot that
    the streams of the run share. If one of them changes, an unfinished job cannot be continued, but the saved position
    of an incremental stream stays valid. If the key or the cursor field changes, the saved position is not valid either.
    """

    code: str
    cursor_field: str | None
    primary_key: tuple[str, ...]
    snapshot_at: str | None = None

    def order_change(self, earlier: Mapping[str, Any] | None) -> str:
        """Return in words what has changed since the saved position was reached; empty if it is still valid.

        The job of an older release has recorded nothing (`earlier` is None).
        """
        if earlier is None:
            return ""
        before, now = earlier["cursor_field"], self.cursor_field
        if before != now:
            return f"The cursor field changed from {before!r} to {now!r}"
        if tuple(earlier["primary_key"]) != self.primary_key:
            keys = [", ".join(key) or "none" for key in (earlier["primary_key"], self.primary_key)]
            return f"The primary key changed ({keys[0]} before, {keys[1]} now)"
        return ""


@dataclass(frozen=True, slots=True)
class StreamIdentity:
    """The stream, with digests of settings. If `fingerprint` changes, its unfinished job cannot be continued."""

    key: str
    pipeline_prefix: str  # the beginning of the keys of all streams of the pipeline
    source: str
    stream: str
    sync_mode: str
    destination_kind: str
    destination: str  # digest of the destination
    fingerprint: str  # digest of the destination, the source and the modes
    inputs: StreamInputs
    rereads_finished: bool = False  # whether a job of this run in an earlier snapshot is repeated


def identity_of(spec: RunSpec) -> StreamIdentity:
    """Compute the identity from the settings without secrets.

    A job that failed because of a wrong password can thus be continued with another password. The settings that only
    decide whether a result may be published are not part of it, so a run continues after they were changed.
    """
    source, target = spec.source, spec.destination
    folders = (
        [spec.data.prefix, target.shared_folder] if target.shared_folder else [spec.data.prefix]
    )
    destination_digest = _digest(
        [target.kind, remove_secrets(target.config), target.table, spec.data.url, *folders]
    )
    source_settings = [source.kind, remove_secrets(source.config), source.stream]
    modes = [source.sync_mode, source.cursor_field, target.write_mode, target.primary_key]
    return StreamIdentity(
        key=spec.stream_key,
        pipeline_prefix=spec.pipeline_prefix,
        source=source.kind,
        stream=source.stream,
        sync_mode=source.sync_mode,
        destination_kind=target.kind,
        destination=destination_digest,
        fingerprint=_digest([destination_digest, source_settings, modes]),
        inputs=StreamInputs(
            code=_digest([code.text if code else None for code in (source.code, spec.transform)]),
            cursor_field=source.cursor_field,
            primary_key=tuple(target.primary_key or source.primary_key),
            snapshot_at=source.snapshot.at if source.snapshot else None,
        ),
        rereads_finished=source.snapshot is not None and source.snapshot.rereads_finished,
    )


def _digest(value: Any) -> str:
    canonical = orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=str)
    return hashlib.sha256(canonical).hexdigest()
