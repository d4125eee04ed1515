"""A saver of checkpoints that asks the database once for each checkpoint.

LangGraph's own saver reads the whole thread several times in a turn, and needs a transaction of several statements for
each checkpoint. This one uses the same tables. It remembers the newest checkpoint, because the holder of the
conversation's lock is the only one who writes (`turns.checkpoints`).

While a graph runs, only a checkpoint with an answer of the model is stored at once. Other checkpoints and the results of
tasks are held back until the next checkpoint replaces them, or somebody reads the thread. If the process stops before,
the work is repeated without a second effect: the message is submitted again, and a tool call has its stored answer
(`turns.calls`). What a task pauses for, or fails with, is stored at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import chain
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
from psycopg.types.json import Jsonb

from apps.agent.exceptions import TurnLeaseLost
from apps.agent.graphs.stored_messages import ThreadSerializer
from apps.live.events import Statement

# The query `allowed` decides whether the checkpoint is stored. Rows of scalars are converted faster than arrays.
PUT_CHECKPOINT = """
    {blobs}
    checkpoint AS (
        INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata)
        SELECT %(thread)s, %(namespace)s, %(checkpoint_id)s, %(parent_id)s, %(checkpoint)s, %(metadata)s FROM allowed
        ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id)
        DO UPDATE SET checkpoint = EXCLUDED.checkpoint, metadata = EXCLUDED.metadata
    ),"""
PUT_BLOBS = """
    new_blobs AS (
        INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
        SELECT %(thread)s, %(namespace)s, channel, version, type, blob
        FROM allowed, (VALUES {rows}) AS given (channel, version, type, blob)
        ON CONFLICT (thread_id, checkpoint_ns, channel, version) DO NOTHING
    ),"""
BLOB = "(%(channel_{i})s, %(version_{i})s, %(type_{i})s, %(blob_{i})s::bytea)"
# Waits for somebody who deletes the conversation. Otherwise its deletion would miss the new rows.
IF_CONVERSATION_EXISTS = """
    allowed AS MATERIALIZED (
        SELECT id FROM public.agent_conversation WHERE id = %(thread)s::uuid FOR KEY SHARE
    ),"""
PUT_WRITES = """
    writes AS (
        INSERT INTO checkpoint_writes
            (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob)
        SELECT given.* FROM allowed, (VALUES {rows}) AS given
        ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx) {on_conflict}
    ),"""
KEEP_EXISTING = "DO NOTHING"
OVERWRITE = "DO UPDATE SET channel = EXCLUDED.channel, type = EXCLUDED.type, blob = EXCLUDED.blob"
STEPS = ("input", "loop")  # sources of the checkpoints of a graph that runs
INLINE_TYPES = (str, int, float, bool, type(None))  # stored in the checkpoint, not as a blob

Row = Sequence[Any]  # a row of one of LangGraph's tables
NO_QUERIES = Statement("", {})
# Adds the queries of a checkpoint to another statement.
MakeStatement = Callable[[Statement], Statement]


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

    def add(self, rows: Sequence[Row], *, overwrites: bool) -> None:
        """Add rows of `checkpoint_writes`."""
        for _, _, _, task_id, task_path, number, channel, kind, blob in rows:
            if overwrites or (task_id, number) not in self.writes:
                self.writes[task_id, number] = task_path, channel, Dumped(kind, blob)


@dataclass(frozen=True, slots=True)
class CheckpointRows:
    """A checkpoint as it is stored, with those of its values that are new: rows of (thread, …, channel, version, …)."""

    thread: str
    namespace: str
    checkpoint_id: str
    parent_id: str | None
    checkpoint: Mapping[str, Any]
    metadata: Mapping[str, Any]
    blobs: Sequence[Row]

    def with_values_of(self, held: CheckpointRows) -> CheckpointRows:
        """Return these rows with the values of their parent, so that the parent need not be stored."""
        versions = self.checkpoint["channel_versions"]
        current = [blob for blob in held.blobs if versions.get(blob[2]) == blob[3]]
        return replace(self, parent_id=held.parent_id, blobs=[*self.blobs, *current])

    def queries(self) -> Statement:
        """Return the queries that store them if the query `allowed` finds a row."""
        values: dict[str, Any] = {
            "thread": self.thread,
            "namespace": self.namespace,
            "checkpoint_id": self.checkpoint_id,
            "parent_id": self.parent_id,
            "checkpoint": Jsonb(self.checkpoint),
            "metadata": Jsonb(self.metadata),
        }
        for i, (_, _, channel, version, kind, blob) in enumerate(self.blobs):
            values |= {f"channel_{i}": channel, f"version_{i}": version, f"type_{i}": kind}
            values[f"blob_{i}"] = blob
        return Statement(_put_checkpoint(len(self.blobs)), values)


@cache
def _put_checkpoint(blobs: int) -> str:
    rows = ", ".join(BLOB.format(i=i) for i in range(blobs))
    return PUT_CHECKPOINT.format(blobs=PUT_BLOBS.format(rows=rows) if blobs else "")


class ThreadSaver(AsyncPostgresSaver):
    """Saves the checkpoints of one thread over one connection, until `detach` is called."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        super().__init__(connection, serde=ThreadSerializer())
        self.supports_pipeline = False  # pipelines break behind PgBouncer
        self._newest: Newest | None = None
        self._is_known = False  # whether `_newest` is what the database has, with what is held back
        self._held_checkpoint: CheckpointRows | None = None
        self._held_writes: list[Row] = []
        self._make_statement: MakeStatement | None = None
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
        """Return a checkpoint. Whatever was held back is stored before."""
        await self.store_held()
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
        rows = CheckpointRows(
            thread,
            namespace,
            checkpoint["id"],
            place.get("checkpoint_id"),
            {**checkpoint, "channel_values": inline},
            get_serializable_checkpoint_metadata(config, metadata),
            self._dump_blobs(thread, namespace, blobs, versions),
        )
        if namespace:
            await self._put_alone(rows)
            return _place_of(thread, namespace, checkpoint["id"])
        rows = await self._replace_held(rows)
        if self._make_statement is not None:
            await self._put_together(rows.queries())
        elif metadata.get("source") in STEPS:
            self._held_checkpoint = rows
        else:
            await self._put_alone(rows)
        self._remember(rows, checkpoint, {**self._dumped(blobs, rows.blobs), **inline})
        return _place_of(thread, namespace, checkpoint["id"])

    async def store_with_next_checkpoint(self, make_statement: MakeStatement) -> None:
        """Store the next checkpoint and something else with one statement.

        If this statement returns no row, neither is stored, and TurnLeaseLost is raised.
        """
        await self._put_together(NO_QUERIES)
        self._make_statement = make_statement

    async def _replace_held(self, rows: CheckpointRows) -> CheckpointRows:
        """Return the rows of a checkpoint with what was held back of its parent, which is not needed any more."""
        held, parent_id = self._held_checkpoint, rows.parent_id
        if held is not None and held.checkpoint_id != parent_id:
            await self.store_held()
            return rows
        self._held_checkpoint = None
        self._held_writes = [row for row in self._held_writes if row[2] != parent_id]
        return rows if held is None else rows.with_values_of(held)

    async def _put_alone(self, rows: CheckpointRows) -> None:
        await self._put_if_conversation_exists(rows.queries())

    async def _put_if_conversation_exists(self, queries: Statement) -> None:
        """Raises TurnLeaseLost if the conversation was deleted."""
        put = Statement(IF_CONVERSATION_EXISTS, {}) + queries
        text = f"WITH {put.text.removesuffix(',')} SELECT id FROM allowed"  # noqa: S608 - our own text; values are parameters
        async with self._cursor() as cursor:
            await cursor.execute(text, put.values)
            if await cursor.fetchone() is None:
                raise TurnLeaseLost

    async def _put_together(self, queries: Statement) -> None:
        make_statement, self._make_statement = self._make_statement, None
        if make_statement is None:
            return
        async with self._cursor() as cursor:
            statement = make_statement(queries)
            await cursor.execute(statement.text, statement.values)
            if await cursor.fetchone() is None:
                raise TurnLeaseLost

    def _remember(self, rows: CheckpointRows, checkpoint: Checkpoint, values: Any) -> None:
        remembered = _copy(checkpoint)
        remembered["channel_values"] = values
        parent = _place_of(rows.thread, "", rows.parent_id) if rows.parent_id else None
        place = _place_of(rows.thread, "", rows.checkpoint_id)
        metadata: Any = rows.metadata
        newest = CheckpointTuple(place, remembered, metadata, parent)
        self._newest, self._is_known = Newest(newest, is_read=False), True

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
        if are_special or namespace:
            await self.store_held()
            await self._put_writes(rows, OVERWRITE if are_special else KEEP_EXISTING)
        else:
            self._held_writes += rows
        newest = self._newest
        if newest is None or newest.is_read:
            self._is_known = False
        elif not namespace and newest.checkpoint.checkpoint["id"] == checkpoint:
            newest.add(rows, overwrites=are_special)

    async def _put_writes(self, rows: Sequence[Row], on_conflict: str) -> None:
        if rows:
            await self._put_if_conversation_exists(_writes_statement(rows, on_conflict))

    async def store_held(self) -> None:
        """Store whatever was held back. Raises TurnLeaseLost."""
        checkpoint, self._held_checkpoint = self._held_checkpoint, None
        writes, self._held_writes = self._held_writes, []
        if checkpoint is not None:
            await self._put_alone(checkpoint)
        await self._put_together(NO_QUERIES)
        await self._put_writes(writes, KEEP_EXISTING)

    def _load(self, value: Dumped) -> Any:
        return self.serde.loads_typed((value.kind, value.blob))

    def _dumped(self, values: Mapping[str, Any], new_rows: Sequence[Row]) -> dict[str, Any]:
        """Return the values as they are stored. Those that have not changed are remembered or dumped again."""
        dumped = {row[2]: Dumped(row[4], row[5]) for row in new_rows}
        known = self._newest.values if self._newest is not None else {}
        for name in values.keys() - dumped.keys():
            dumped[name] = known.get(name) or Dumped(*self.serde.dumps_typed(values[name]))
        return dumped

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


def _writes_statement(rows: Sequence[Row], on_conflict: str) -> Statement:
    """Return the query that stores rows of `checkpoint_writes`."""
    values = {f"v{i}": value for i, value in enumerate(chain(*rows))}
    names, length = [f"%({name})s" for name in values], len(rows[0])
    given = [f"({', '.join(names[i : i + length])})" for i in range(0, len(names), length)]
    text = PUT_WRITES.format(rows=", ".join(given), on_conflict=on_conflict)
    return Statement(text, {"thread": rows[0][0], **values})
