"""How many records and requests the first run of a proposed pipeline needs.

If a pipeline has read the stream before, these are the numbers of its last run. Otherwise the source estimates them, as
far as it can in two seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.agent.tools.base import ToolContext
from apps.connectors.checks import discoveries
from apps.connectors.checks import services as checks
from apps.connectors.checks.discoveries import FoundStreams
from apps.connectors.engine import StreamSizes, no_sizes
from apps.connectors.models import Connector
from apps.connectors.services import connectors, find_connector
from apps.engine.answers import StreamSize
from apps.orgs.exceptions import CheckFirst
from apps.orgs.slow_calls import SlowCall
from apps.runs import queries, visibility
from apps.runs.queries import ExpectedSize
from apps.web.problems import Problem

MAX_SOURCES = 3  # sources of one proposal that are asked
MAX_ESTIMATED = 500  # streams of one source
MAX_LAST_RUNS = 20  # streams whose last runs are looked up
NOT_ESTIMATED = no_sizes("the proposal has too many sources")
RECORDS = "Records to expect"
REQUESTS = "Requests to expect"
RECORDS_AND_REQUESTS = "Records and requests to expect"
# Kinds of sources that do not read pages over HTTP. All others do.
KINDS_WITHOUT_REQUESTS = frozenset({"postgres", "files", "samples", "dummy", "kafka"})
NOT_KNOWN = "Not known before the first run"
NOT_TOLD = "the source does not tell how many records it has"

Stream = tuple[UUID, str]  # the source connector's id, and the stream's name
Facts = list[tuple[str, str]]


class SizesNeeded(CheckFirst):
    """The sources have to estimate the sizes of streams, and list their streams, first, outside the transaction."""

    def __init__(
        self,
        calls: Mapping[UUID, SlowCall[StreamSizes]],
        listings: Iterable[SlowCall[FoundStreams]] = (),
    ) -> None:
        super().__init__(self.__doc__)
        self.calls = calls
        self.listings = listings

    def check(self) -> EstimatedSizes:
        lists = [(call, found) for call in self.listings if (found := _list(call)) is not None]
        return EstimatedSizes({source: call.run() for source, call in self.calls.items()}, lists)


def _list(call: SlowCall[FoundStreams]) -> FoundStreams | None:
    """Return the streams of a source, or None if too many other calls are running."""
    try:
        return call.run()
    except Problem:
        return None


@dataclass(frozen=True, slots=True)
class EstimatedSizes:
    """The estimates of each source connector, and the lists of streams of sources that had none stored."""

    by_source: Mapping[UUID, StreamSizes]
    lists: Sequence[tuple[SlowCall[FoundStreams], FoundStreams]] = ()


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is known about the size of streams: their last runs, and the estimates of their sources."""

    last_runs: Mapping[Stream, ExpectedSize]
    estimates: Mapping[UUID, StreamSizes]
    with_requests: frozenset[UUID]  # source connectors that read pages over HTTP

    def facts(self, source_id: UUID, stream: str) -> Facts:
        """Return the rows to expect and, of a source that reads pages over HTTP, the requests, for the card."""
        facts = self._facts(source_id, stream)
        if source_id in self.with_requests:
            return facts
        return [
            (RECORDS if label == RECORDS_AND_REQUESTS else label, value)
            for label, value in facts
            if label != REQUESTS
        ]

    def of_source(self, source_id: UUID) -> StreamSizes:
        """Return what the source has said."""
        return self.estimates.get(source_id, NOT_ESTIMATED)

    def facts_of_several(self, source_id: UUID, streams: Sequence[str]) -> Facts:
        """Return the rows to expect of several streams together, as far as they are known."""
        known = [n for name in streams if (n := self._records(source_id, name)) is not None]
        if not known:
            return self.facts(source_id, streams[0]) if streams else []
        of_streams = f"{len(known):,} of {len(streams):,}" if len(known) < len(streams) else "all"
        return [(RECORDS, f"About {sum(known):,} in {of_streams} streams")]

    def _records(self, source_id: UUID, stream: str) -> int | None:
        if (run := self.last_runs.get((source_id, stream))) is not None:
            return run.records
        size = self.of_source(source_id)["sizes"].get(stream)
        return size["records"] if size else None

    def _facts(self, source_id: UUID, stream: str) -> Facts:
        if (run := self.last_runs.get((source_id, stream))) is not None:
            return _facts_of_run(run)
        found = self.of_source(source_id)
        size = found["sizes"].get(stream)
        if size is None or size["records"] is None:
            reason = (size and size["problem"]) or found["problem"] or NOT_TOLD
            return [(RECORDS_AND_REQUESTS, f"{NOT_KNOWN}: {reason}")]
        return _facts_of_estimate(size["records"], size)


def without_repeated_reasons(facts: Facts) -> Facts:
    """Return the facts of several pipelines. A reason why a size is not known is given only once."""
    shown: Facts = []
    for label, value in facts:
        is_repeated = value.startswith(NOT_KNOWN) and label != REQUESTS and (label, value) in shown
        shown.append((label, f"{NOT_KNOWN}, for the same reason" if is_repeated else value))
    return shown


def load(
    context: ToolContext,
    streams: Sequence[Stream],
    listings: Sequence[SlowCall[FoundStreams]] = (),
) -> Sizes:
    """Return the sizes of the streams. Raises SizesNeeded once if a source has to be asked, also for the `listings`."""
    last_runs = {
        stream: run for stream in streams[:MAX_LAST_RUNS] if (run := _last_run(context, stream))
    }
    new_streams = [stream for stream in dict.fromkeys(streams) if stream not in last_runs]
    if isinstance(context.checked, EstimatedSizes) or not (new_streams or listings):
        estimates = getattr(context.checked, "by_source", {})
        return Sizes(last_runs, estimates, _with_requests(context, streams))
    raise SizesNeeded(_calls(context, new_streams), listings)


def listings(context: ToolContext, sources: Iterable[UUID]) -> list[SlowCall[FoundStreams]]:
    """Return the calls that list the streams of sources whose list is not stored. Patterns need it."""
    return [
        checks.list_streams(org=context.org, by=context.by, connector_id=source)
        for source in dict.fromkeys(sources)
        if discoveries.read(context.org, _find_source(context, source)) is None
    ]


def _find_source(context: ToolContext, source_id: UUID) -> Connector:
    return find_connector(org=context.org, by=context.by, connector_id=source_id)


def store_lists(context: ToolContext) -> None:
    """Store the lists of streams that the check has made, so that the dry run of the card knows the streams."""
    if isinstance(context.checked, EstimatedSizes):
        for call, found in context.checked.lists:
            call.finish(context.by, found)


def _calls(context: ToolContext, streams: Sequence[Stream]) -> dict[UUID, SlowCall[StreamSizes]]:
    names: dict[UUID, list[str]] = {}
    for source_id, name in streams:
        names.setdefault(source_id, []).append(name)
    return {
        source_id: checks.estimate_sizes(
            org=context.org,
            by=context.by,
            connector_id=source_id,
            streams=names[source_id][:MAX_ESTIMATED],
        )
        for source_id in list(names)[:MAX_SOURCES]
    }


def _with_requests(context: ToolContext, streams: Iterable[Stream]) -> frozenset[UUID]:
    rows = connectors(context.org, context.by).filter(pk__in={source for source, _ in streams})
    return frozenset(rows.exclude(kind__in=KINDS_WITHOUT_REQUESTS).values_list("pk", flat=True))


def _last_run(context: ToolContext, stream: Stream) -> ExpectedSize | None:
    runs = visibility.runs(context.org, context.by)
    return queries.expected_size(runs, connector_id=stream[0], stream=stream[1])


def _facts_of_run(size: ExpectedSize) -> Facts:
    since = f"as in the last run of {size.pipeline_name}"
    return [
        (RECORDS, f"{size.records:,}, {since}"),
        (REQUESTS, f"{size.pages:,}, one for each page, {since}"),
    ]


def _facts_of_estimate(records: int, size: StreamSize) -> Facts:
    requests: Any = size["requests"]
    return [
        (RECORDS, f"About {records:,}: {size['basis']}"),
        (
            REQUESTS,
            f"About {requests:,}, one for each page" if requests else NOT_KNOWN,
        ),
    ]
