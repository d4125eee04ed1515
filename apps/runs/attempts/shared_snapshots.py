"""Let the streams of an attempt read one snapshot of their source, so that rows that refer to each other agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import timedelta

from apps.engine import EngineError, EngineSupervisor, RunSpec
from apps.engine.contract import LogLine
from apps.engine.failures import SourceError
from apps.engine.shared_snapshots import HeldSnapshot, SharedSnapshot
from apps.json import JsonObject
from apps.pipelines.definition import SnapshotDocument
from apps.runs.attempts.recorder import Recorder

# If reading takes longer, a snapshot is not shared by itself: the source cannot remove old rows as long as it exists.
LONGEST_READ = timedelta(minutes=15)
# What is read in that time at 30 MB/s, which is a third of what one child reads from a server nearby.
LARGEST_READ = 27_000_000_000  # bytes
# A table may be locked by other sessions for half a minute before the source gives up.
SECONDS_TO_TAKE = 180.0


@dataclass(frozen=True, slots=True)
class SnapshotPlan:
    """How the streams of a run are read: the choice of the pipeline, and how long its last successful run has taken."""

    choice: SnapshotDocument
    source_has_snapshots: bool
    last_duration: timedelta | None

    @property
    def is_required(self) -> bool:
        return self.choice["scope"] == "run"

    @property
    def rereads_all(self) -> bool:
        """Whether another attempt also reads the streams again that were published."""
        return self.choice["retry"] == "all"

    @property
    def takes_long(self) -> bool:
        return self.last_duration is not None and self.last_duration >= LONGEST_READ


@contextmanager
def specs_in_snapshot(
    engine: EngineSupervisor, specs: Mapping[str, RunSpec], plan: SnapshotPlan, recorder: Recorder
) -> Iterator[dict[str, RunSpec]]:
    """Yield the specifications of the streams that this attempt runs, in one snapshot if there are several.

    The snapshot exists until the block ends. Raises EngineError if the pipeline requires one, and there is none.
    """
    streams = recorder.streams
    is_repeated = streams.are_partly_published
    names = list(specs) if plan.rereads_all and is_repeated else streams.names_to_run
    with ExitStack() as stack:
        held = _take(stack, engine, {name: specs[name] for name in names}, plan, recorder)
        if held.token and plan.rereads_all:
            streams.repeat_published()
        for line in _log_lines(held, plan, is_repeated=is_repeated):
            recorder.add_event(line)
        yield {name: _in_snapshot(specs[name], held, plan) for name in streams.names_to_run}


def _take(
    stack: ExitStack,
    engine: EngineSupervisor,
    specs: Mapping[str, RunSpec],
    plan: SnapshotPlan,
    recorder: Recorder,
) -> HeldSnapshot:
    """Return the snapshot, which exists until the stack is closed. It is empty if there is none."""
    if len(specs) < 2 or plan.choice["scope"] == "stream" or not plan.source_has_snapshots:
        return HeldSnapshot()
    if plan.takes_long and not plan.is_required:
        minutes = LONGEST_READ.seconds // 60
        return HeldSnapshot(reason=f"the last run took more than {minutes} minutes")
    try:
        answer = stack.enter_context(
            engine.hold(
                "hold_snapshot",
                _payload(specs, plan),
                SECONDS_TO_TAKE,
                should_stop=lambda: recorder.stop_reason() is not None,
            )
        )
    except EngineError as error:
        # If the attempt has to stop, its streams report why.
        if plan.is_required and recorder.stop_reason() is None:
            raise
        return HeldSnapshot(reason=error.message)
    held = HeldSnapshot.from_json(answer)
    if plan.is_required and not held.token:
        raise SourceError(f"There is no snapshot for all streams, because {held.reason}")
    return held


def _payload(specs: Mapping[str, RunSpec], plan: SnapshotPlan) -> JsonObject:
    spec = next(iter(specs.values()))
    may_be_large = plan.is_required or plan.last_duration is not None
    return {
        "role": "source",
        "kind": spec.source.kind,
        "config": spec.source.config,
        "files": asdict(spec.files),
        "sandbox": asdict(spec.sandbox),
        "allow_private_networks": spec.allow_private_networks,
        "streams": list(specs),
        "is_required": plan.is_required,
        "max_bytes": None if may_be_large else LARGEST_READ,
    }


def _in_snapshot(spec: RunSpec, held: HeldSnapshot, plan: SnapshotPlan) -> RunSpec:
    """Return the specification with the snapshot. A stream that is not in it reports what is wrong with its table."""
    if not held.token or spec.source.stream not in held.streams:
        return spec
    table = held.tables.get(spec.source.stream)
    snapshot = SharedSnapshot(held.token, held.at, plan.rereads_all, table)
    return replace(spec, source=replace(spec.source, snapshot=snapshot))


def _log_lines(held: HeldSnapshot, plan: SnapshotPlan, *, is_repeated: bool) -> Iterator[LogLine]:
    if held.token:
        text = f"The streams are read in one snapshot: all rows as they were at {held.at}"
        yield LogLine.now("info", text, {"snapshot_at": held.at})
    elif held.reason:
        yield LogLine.now("info", f"Each stream is read for itself, because {held.reason}")
    if not is_repeated or not plan.source_has_snapshots or plan.choice["scope"] == "stream":
        return
    if held.token and plan.rereads_all:
        yield LogLine.now(
            "warning", "The streams that were published are read again, with the others"
        )
    else:
        text = "The streams that an earlier attempt has published are as of an earlier moment than the others"
        yield LogLine.now("warning", text)
