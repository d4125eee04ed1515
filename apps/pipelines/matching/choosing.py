"""Choose the streams of a pipeline by its patterns, from what the source lists and from what was chosen before."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from apps.connectors import catalogue
from apps.engine.answers import Stream
from apps.orgs.models import Org
from apps.pipelines import definition as definitions
from apps.pipelines.definition import Definition, Offer, StreamDocument
from apps.pipelines.models import Pipeline, PipelineStream, StreamState

INCLUDED, WAITING, IGNORED = StreamState.INCLUDED, StreamState.WAITING, StreamState.IGNORED
_STATES_OF_NEW = {"add": INCLUDED, "ask": WAITING, "ignore": IGNORED}


@dataclass(frozen=True, slots=True)
class MatchedStream:
    """A stream that the patterns have chosen. `missing` means that the source does not list it any more."""

    name: str
    offer: Offer
    state: StreamState
    missing: bool = False
    is_new: bool = False


def matched_rows(org: Org, pipeline: Pipeline) -> list[PipelineStream]:
    """Return the rows of the streams that the patterns have chosen before."""
    rows = PipelineStream.objects.for_org(org).filter(pipeline=pipeline, offer__isnull=False)
    return list(rows.order_by("name"))


def known_streams(rows: Iterable[PipelineStream]) -> dict[str, MatchedStream]:
    return {
        row.name: MatchedStream(row.name, offer, StreamState(row.state), row.missing)
        for row in rows
        if (offer := row.offer) is not None
    }


def choose(
    definition: Definition,
    known: Mapping[str, MatchedStream],
    listed: Sequence[Stream] | None,
    *,
    is_first: bool,
) -> list[MatchedStream]:
    """Return the streams that the patterns choose, without those that the definition names.

    `known` are those that were chosen before, and `listed` are the streams of the source, None if they are not known
    now. With `is_first` the patterns were never matched before: then no stream is new.
    """
    chooser = _Chooser(definition)
    still_known = {name: stream for name, stream in known.items() if chooser.chooses(name)}
    if listed is None:
        return list(still_known.values())
    chosen: dict[str, MatchedStream] = {}
    for stream in listed:
        if chooser.chooses(stream["name"]):
            before = still_known.pop(stream["name"], None)
            chosen[stream["name"]] = _chosen(definition, stream, before, is_first=is_first)
    gone = [
        replace(stream, missing=True)
        for stream in still_known.values()
        if stream.state != WAITING  # nobody has decided that it is to be read
    ]
    return [*chosen.values(), *gone]


class _Chooser:
    """Decides by its name whether the patterns of a definition choose a stream that it does not name."""

    def __init__(self, definition: Definition) -> None:
        self._kind = definition.document["source"]["kind"]
        self._match = definition.patterns["match"] if definition.patterns else []
        self._named = {self._full_name(stream["stream"]) for stream in definition.streams}

    def chooses(self, name: str) -> bool:
        return (
            definitions.matches(self._match, self._kind, name)
            and self._full_name(name) not in self._named
        )

    def _full_name(self, name: str) -> str:
        return definitions.full_name(self._kind, name)


def _chosen(
    definition: Definition, stream: Stream, before: MatchedStream | None, *, is_first: bool
) -> MatchedStream:
    offer: Offer = {
        "primary_key": stream["primary_key"],
        "cursor_fields": stream["cursor_fields"],
        "sync_modes": stream["sync_modes"],
    }
    if before is not None:
        return MatchedStream(stream["name"], offer, before.state)
    if is_first:
        return MatchedStream(stream["name"], offer, INCLUDED)
    state = _STATES_OF_NEW[definition.document.get("new_streams") or "add"]
    return MatchedStream(stream["name"], offer, state, is_new=True)


def documents_of(definition: Definition, streams: Iterable[MatchedStream]) -> list[StreamDocument]:
    """Return the included streams as in a definition: with the defaults of the patterns and their tables."""
    patterns = definition.patterns
    if patterns is None:
        return []
    kind, naming = definition.document["source"]["kind"], definition.document.get("naming")
    # The definition of a preview has no destination.
    side = definition.document.get("destination")
    destination = catalogue.find("destination", side["kind"]) if side else None
    documents = []
    for stream in streams:
        if stream.state == INCLUDED:
            table = definitions.table_of(kind, stream.name, naming)
            document = definitions.matched_stream(patterns, stream.name, table, stream.offer)
            if destination is not None:
                definitions.complete(document, destination)
            documents.append(document)
    return documents


def known_documents(org: Org, pipeline: Pipeline, definition: Definition) -> list[StreamDocument]:
    """Return the included streams that the patterns have chosen so far, as in a definition."""
    return documents_of(definition, known_streams(matched_rows(org, pipeline)).values())


def find_stream(
    org: Org, pipeline: Pipeline, definition: Definition, name: str
) -> StreamDocument | None:
    """Return the stream that the definition names, or that its patterns choose as far as is known; None if it is not read."""
    return find_streams(org, pipeline, definition, [name]).get(name)


def find_streams(
    org: Org, pipeline: Pipeline, definition: Definition, names: Collection[str]
) -> dict[str, StreamDocument]:
    """Return the streams of these names that are read, by name. Makes one query at most."""
    wanted = set(names)
    named = {each["stream"]: each for each in definition.streams if each["stream"] in wanted}
    others = wanted - named.keys()
    if not others:
        return named
    rows = PipelineStream.objects.for_org(org).filter(
        pipeline=pipeline, offer__isnull=False, name__in=others
    )
    chosen = choose(definition, known_streams(rows), None, is_first=False)
    return {each["stream"]: each for each in documents_of(definition, chosen)} | named


def names_of(streams: Iterable[MatchedStream], state: StreamState) -> Collection[str]:
    return [stream.name for stream in streams if stream.state == state]
