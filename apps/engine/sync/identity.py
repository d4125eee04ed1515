"""Compute the identity of a run's stream, which decides whether its unfinished job can be continued."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from apps.engine.contract import RunSpec
from apps.engine.reporting.redaction import remove_secrets
from apps.engine.sync.checkpoints import StreamIdentity


def identity_of(spec: RunSpec) -> StreamIdentity:
    """Compute the identity from the settings without secrets.

    A job that failed because of a wrong password can thus be continued with another password.
    """
    source, target = spec.source, spec.destination
    destination_digest = _digest(
        [target.kind, remove_secrets(target.config), target.table, spec.data.url, spec.data.prefix]
    )
    source_settings = [source.kind, remove_secrets(source.config), source.stream]
    modes = [source.sync_mode, source.cursor_field, target.write_mode, target.primary_key]
    return StreamIdentity(
        key=spec.stream_key,
        source=source.kind,
        stream=source.stream,
        sync_mode=source.sync_mode,
        destination_kind=target.kind,
        destination=destination_digest,
        fingerprint=_digest([destination_digest, source_settings, modes]),
    )


def _digest(value: Any) -> str:
    canonical = orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=str)
    return hashlib.sha256(canonical).hexdigest()
