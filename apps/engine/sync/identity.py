"""Identify the stream of a run, and decide whether an unfinished job of it can be continued."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from apps.engine.contract import RunSpec
from apps.engine.reporting.redaction import without_secrets
from apps.engine.sync.checkpoints import StreamIdentity


def identity_of(spec: RunSpec) -> StreamIdentity:
    """Compute the identity.

    Secrets are left out, so that a job that failed for a wrong password can be continued.
    """
    source, target = spec.source, spec.destination
    place = _digest(
        [target.kind, without_secrets(target.config), target.table, spec.data.url, spec.data.prefix]
    )
    reading = [source.kind, without_secrets(source.config), source.stream]
    mode = [source.sync_mode, source.cursor_field, target.write_mode, target.primary_key]
    return StreamIdentity(
        key=spec.stream_key,
        source=source.kind,
        stream=source.stream,
        sync_mode=source.sync_mode,
        destination_kind=target.kind,
        destination=place,
        fingerprint=_digest([place, reading, mode]),
    )


def _digest(value: Any) -> str:
    canonical = orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=str)
    return hashlib.sha256(canonical).hexdigest()
