"""A saver of checkpoints that asks the database once for each checkpoint.

LangGraph's own saver reads the whole thread several times in a turn, and needs a transaction of several statements for
each checkpoint. This one uses the same tables. It remembers the newest checkpoint, because the holder of the
conversation's lock is the only one who writes (`turns.checkpoints`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_serializable_checkpoint_metadata,
    writes_sort_key,
)
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from psycopg.types.json import Jsonb

PUT_CHECKPOINT = """
WITH new_blobs AS (
    INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
    SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bytea[])
    ON CONFLICT (thread_id, checkpoint_ns, channel, version) DO NOTHING
)
INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id)
DO UPDATE SET checkpoint = EXCLUDED.checkpoint, metadata = EXCLUDED.metadata"""
PUT_WRITES = """
INSERT INTO checkpoint_writes
    (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob)
SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::int[], %s::text[], %s::text[],
                     %s::bytea[])
ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx) """
KEEP = "DO NOTHING"
REPLACE = "DO UPDATE SET channel = EXCLUDED.channel, type = EXCLUDED.type, blob = EXCLUDED.blob"
INLINE_TYPES = (str, int, float, bool, type(None))  # stored in the checkpoint, not as a blob


@dataclass(frozen=True, slots=True)
class Dumped:
    """A value as it is stored. It is loaded only if somebody reads it, and then it is what another process would read."""

    kind: str
    blob: bytes


@dataclass
class Newest:
    """The newest checkpoint of the thread, and what its tasks have written: {(task, place): (path, channel, value)}.

    If it was read from the database, `checkpoint` has these writes, and their places are not known.
    """

    checkpoint: CheckpointTuple
    is_read: bool
    writes: dict[tuple[str, int], tuple[str, str, Dumped]] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, Any]:
        return self.checkpoint.checkpoint["channel_values"]

    def copy(self, load: Callable[[Dumped], Any]) -> CheckpointTuple:
        """Return the checkpoint for a graph, which changes the dictionaries in it."""
        for name, value in self.values.items():
            if isinstance(value, Dumped):
                self.values[name] = load(value)
        copied = self.checkpoint._replace(checkpoint=_copy(self.checkpoint.checkpoint))
        if self.is_read:
            return copied
        ordered = sorted(self.writes.items(), key=lambda w: writes_sort_key(w[1][0], *w[0]))
        writes = [(task, channel, load(value)) for (task, _), (_, channel, value) in ordered]
        return copied._replace(pending_writes=writes)

    def add(self, rows: Sequence[Sequence[Any]], *, replace: bool) -> None:
        """Add rows of `checkpoint_writes`."""
        for _, _, _, task_id, task_path, number, channel, kind, blob in rows:
            if replace or (task_id, number) not in self.writes:
                self.writes[task_id, number] = task_path, channel, Dumped(kind, blob)


class ThreadSaver(AsyncPostgresSaver):
    """Saves the checkpoints of one thread over one connection, until `detach` is called."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        super().__init__(connection, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
        self.supports_pipeline = False  # pipelines break behind PgBouncer
        self._newest: Newest | None = None
        self._is_known = False  # whether `_newest` is what the database has
        self._connection = connection
        self._is_detached = False

    def detach(self) -> None:
        """Refuse every later use, because the connection may have the lock of another conversation then."""
        self._is_detached = True

    @property
    def connection(self) -> psycopg.AsyncConnection[Any]:
        """The turn's own connection, which has the scope of its org. Raises InterfaceError after the turn."""
        self._require_attached()
        return self._connection

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        place = config["configurable"]
        if place.get("checkpoint_ns") or place.get("checkpoint_id"):
            return await super().aget_tuple(config)
        if not self._is_known:
            found = await super().aget_tuple(config)
            self._newest = Newest(found, is_read=True) if found else None
            self._is_known = True
        return self._newest.copy(self._load) if self._newest else None

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        place = config["configurable"]
        thread, namespace = place["thread_id"], place["checkpoint_ns"]
        values = checkpoint["channel_values"]
        inline = {n: v for n, v in values.items() if isinstance(v, INLINE_TYPES)}
        blobs = {name: value for name, value in values.items() if name not in inline}
        versions = {name: v for name, v in new_versions.items() if name in blobs}
        rows = self._dump_blobs(thread, namespace, blobs, versions)
        stored_metadata = get_serializable_checkpoint_metadata(config, metadata)
        parameters = [
            *_columns(rows, 6),
            *(thread, namespace, checkpoint["id"], place.get("checkpoint_id")),
            *(Jsonb({**checkpoint, "channel_values": inline}), Jsonb(stored_metadata)),
        ]
        await self._execute(PUT_CHECKPOINT, parameters)
        saved = _place_of(thread, namespace, checkpoint["id"])
        if not namespace:
            parent_id = place.get("checkpoint_id")
            parent = _place_of(thread, namespace, parent_id) if parent_id else None
            remembered = _copy(checkpoint)
            remembered["channel_values"] = {**self._dumped(blobs, rows), **inline}
            newest = CheckpointTuple(saved, remembered, stored_metadata, parent)
            self._newest, self._is_known = Newest(newest, is_read=False), True
        return saved

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        place = config["configurable"]
        thread, namespace = place["thread_id"], place["checkpoint_ns"]
        checkpoint = place["checkpoint_id"]
        rows = self._dump_writes(thread, namespace, checkpoint, task_id, task_path, writes)
        # A task may write these again, such as the answer to its pause.
        are_special = all(channel in WRITES_IDX_MAP for channel, _ in writes)
        await self._execute(PUT_WRITES + (REPLACE if are_special else KEEP), _columns(rows, 9))
        newest = self._newest
        if newest is None or newest.is_read:
            self._is_known = False
        elif not namespace and newest.checkpoint.checkpoint["id"] == checkpoint:
            newest.add(rows, replace=are_special)

    def _load(self, value: Dumped) -> Any:
        return self.serde.loads_typed((value.kind, value.blob))

    def _dumped(
        self, values: Mapping[str, Any], new_rows: Sequence[Sequence[Any]]
    ) -> dict[str, Any]:
        """Return the values as they are stored. Those that have not changed are remembered or dumped again."""
        dumped = {row[2]: Dumped(row[4], row[5]) for row in new_rows}
        known = self._newest.values if self._newest is not None else {}
        for name in values.keys() - dumped.keys():
            dumped[name] = known.get(name) or Dumped(*self.serde.dumps_typed(values[name]))
        return dumped

    async def _execute(self, statement: str, parameters: Sequence[Any]) -> None:
        async with self._cursor() as cursor:
            await cursor.execute(statement, parameters)

    def _require_attached(self) -> None:
        if self._is_detached:
            raise psycopg.InterfaceError("the turn that used this saver has ended")

    @asynccontextmanager
    async def _cursor(self, *, pipeline: bool = False) -> AsyncIterator[Any]:
        self._require_attached()
        async with super()._cursor(pipeline=pipeline) as cursor:
            yield cursor


def _place_of(thread: str, namespace: str, checkpoint: str) -> RunnableConfig:
    place = {"thread_id": thread, "checkpoint_ns": namespace, "checkpoint_id": checkpoint}
    return {"configurable": place}


def _copy(checkpoint: Checkpoint) -> Checkpoint:
    """Return a copy whose dictionaries can be changed."""
    return {
        **checkpoint,
        "channel_values": {**checkpoint["channel_values"]},
        "channel_versions": {**checkpoint["channel_versions"]},
        "versions_seen": {node: {**v} for node, v in checkpoint["versions_seen"].items()},
    }


def _columns(rows: Sequence[Sequence[Any]], count: int) -> list[list[Any]]:
    """Return the rows as lists of `count` columns."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(count)]
