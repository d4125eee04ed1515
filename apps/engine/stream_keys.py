"""The keys of the engine's state, which begin with the ids of the org and the pipeline."""

from __future__ import annotations

import hashlib
from uuid import UUID


def stream_digest(stream: str) -> str:
    """Return 26 hexadecimal digits that identify a stream within its pipeline, for keys and names of folders."""
    return hashlib.sha256(stream.encode("utf-8", "surrogatepass")).hexdigest()[:26]


def org_prefix(org_id: UUID | str) -> str:
    """Return the beginning of the keys of all streams of the org."""
    return f"{org_id}:"


def pipeline_prefix(org_id: UUID | str, pipeline_id: UUID | str) -> str:
    """Return the beginning of the keys of all streams of the pipeline."""
    return f"{org_prefix(org_id)}{pipeline_id}:"


def stream_key(org_id: UUID | str, pipeline_id: UUID | str, stream: str) -> str:
    """Return the key of the engine's state for a stream of the pipeline: 100 characters, as many as bizon allows."""
    return pipeline_prefix(org_id, pipeline_id) + stream_digest(stream)


def backfill_key(org_id: UUID | str, pipeline_id: UUID | str, stream: str) -> str:
    """Return the key of the engine's state for backfills of the stream. It is not the key of any stream."""
    return pipeline_prefix(org_id, pipeline_id) + stream_digest(f"\0backfill\0{stream}")


def replay_key(org_id: UUID | str, pipeline_id: UUID | str, stream: str) -> str:
    """Return the key of the engine's state for sending rejected records of the stream again."""
    return pipeline_prefix(org_id, pipeline_id) + stream_digest(f"\0replay\0{stream}")
