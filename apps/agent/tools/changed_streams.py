"""What a call changes in the streams of a pipeline: the parts of its definition, and decisions about matched streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from apps.agent.tools.base import ToolContext
from apps.agent.tools.stream_arguments import rule_documents, stream_document
from apps.agent.tools.update_pipeline.arguments import ChangedStream, UpdatePipeline
from apps.orgs.exceptions import Invalid
from apps.pipelines import definition as definitions
from apps.pipelines.definition import StreamDocument
from apps.pipelines.history import versions
from apps.pipelines.matching.choosing import documents_of, known_streams, matched_rows
from apps.pipelines.matching.services import Decision
from apps.pipelines.models import Pipeline

NAME_IT = "The pipeline has several streams: name the one to change."
NOT_READ = "The pipeline does not read this stream."
NO_RULES: Any = {"others": "keep", "rules": []}
READ_ALREADY = "The pipeline reads this stream already."


@dataclass(slots=True)
class StreamChanges:
    """The parts of the definition that change, and what is decided about streams that the patterns have chosen."""

    config: dict[str, object] = field(default_factory=dict)
    decisions: dict[Decision, list[str]] = field(default_factory=dict)


def read_changes(
    context: ToolContext, pipeline: Pipeline, arguments: UpdatePipeline
) -> StreamChanges:
    """Return what the call changes in the streams. Raises Invalid with the names of the arguments."""
    reader = _Reader(context, pipeline)
    for number, changed in enumerate(arguments.streams or ()):
        reader.change(changed, f"streams.{number}.stream")
    for number, added in enumerate(arguments.add_streams):
        reader.add(stream_document(added), f"add_streams.{number}.stream")
    for number, name in enumerate(arguments.remove_streams):
        reader.remove(name, f"remove_streams.{number}")
    sent = arguments.model_dump(exclude_unset=True)
    reader.set_parts({name: sent[name] for name in OTHER_PARTS if name in sent})
    return reader.changes()


OTHER_PARTS = ("patterns", "naming", "new_streams", "snapshot")


class _Reader:
    """Applies the arguments to the list of streams. An element without other fields keeps its settings (PATCH)."""

    def __init__(self, context: ToolContext, pipeline: Pipeline) -> None:
        self._definition = versions.current_definition(context.org, pipeline)
        self._kind = self._definition.document["source"]["kind"]
        matched = known_streams(matched_rows(context.org, pipeline))
        self._states = {name: stream.state for name, stream in matched.items()}
        included = documents_of(self._definition, matched.values())
        self._matched = {stream["stream"]: stream for stream in included}
        self._streams: list[dict[str, Any]] = [
            {"stream": stream["stream"]} for stream in self._definition.streams
        ]
        self._decisions: dict[Decision, list[str]] = {}
        self._excluded: list[str] = []
        self._parts: dict[str, object] = {}
        self._has_other_streams = False

    def changes(self) -> StreamChanges:
        config = dict(self._parts)
        if self._has_other_streams:
            config["streams"] = self._streams
        return StreamChanges(config, self._decisions)

    def change(self, changed: ChangedStream, argument: str) -> None:
        self._has_other_streams = True
        stream = self._find(changed, argument)
        if changed.fields is not None or changed.other_fields is not None:
            stream["fields"] = _merged_fields(self._before(stream["stream"]), changed)
        stream |= changed.model_dump(
            exclude_unset=True, exclude={"stream", "fields", "other_fields"}
        )

    def _find(self, changed: ChangedStream, argument: str) -> dict[str, Any]:
        """Return the element of the list to change. A stream of the patterns is named from now on."""
        is_only = len(self._streams) == 1 and self._definition.patterns is None
        if changed.stream is None and not is_only:
            raise Invalid([(argument, NAME_IT, "required")])
        if changed.stream is None:
            return self._streams[0]
        if (stream := self._named(changed.stream)) is not None:
            return stream
        if (name := self._same(changed.stream, self._matched)) is not None:
            self._streams.append({**self._matched[name]})
            return self._streams[-1]
        if not is_only:
            raise Invalid([(argument, f"{NOT_READ} Add it with add_streams.", "unknown")])
        self._streams[0] = {"stream": changed.stream}
        return self._streams[0]

    def add(self, stream: dict[str, Any], argument: str) -> None:
        name = self._same(stream["stream"], self._states)
        if self._named(stream["stream"]) is not None or name in self._matched:
            raise Invalid([(argument, READ_ALREADY, "duplicate")])
        has_no_settings = stream.keys() <= {"stream", "sync_mode", "primary_key"}
        if name is not None and has_no_settings and stream["sync_mode"] == "full_refresh":
            self._decisions.setdefault("add", []).append(name)
            return
        self._has_other_streams = True
        self._streams.append(stream)

    def remove(self, name: str, argument: str) -> None:
        if (stream := self._named(name)) is not None:
            self._has_other_streams = True
            self._streams.remove(stream)
            if self._is_matched_by_patterns(stream["stream"]):
                self._excluded.append(self._pattern_without(stream["stream"]))
            return
        matched = self._same(name, self._matched)
        if matched is None:
            raise Invalid([(argument, NOT_READ, "unknown")])
        self._decisions.setdefault("ignore", []).append(matched)

    def set_parts(self, sent: dict[str, Any]) -> None:
        self._parts = sent
        patterns = self._definition.patterns
        if not self._excluded or patterns is None:
            return
        changed = sent.get("patterns", {})
        if changed is not None:
            match = changed.get("match") or patterns["match"]
            self._parts["patterns"] = {**changed, "match": [*match, *self._excluded]}

    def _is_matched_by_patterns(self, name: str) -> bool:
        patterns = self._definition.patterns
        return patterns is not None and definitions.matches(patterns["match"], self._kind, name)

    def _pattern_without(self, name: str) -> str:
        """Return the pattern that excludes the stream. A star in its name is matched by a question mark."""
        return f"!{definitions.full_name(self._kind, name).replace('*', '?')}"

    def _before(self, name: str) -> StreamDocument | None:
        return self._definition.stream(name) or self._matched.get(name)

    def _named(self, name: str) -> dict[str, Any] | None:
        names = {stream["stream"]: stream for stream in self._streams}
        found = self._same(name, names)
        return names[found] if found is not None else None

    def _same(self, name: str, names: Mapping[str, object]) -> str | None:
        """Return the name of the same stream: `public.orders` and `orders` of PostgreSQL are the same one."""
        if name in names:
            return name
        full = definitions.full_name(self._kind, name)
        return next(
            (each for each in names if definitions.full_name(self._kind, each) == full), None
        )


def _merged_fields(before: StreamDocument | None, changed: ChangedStream) -> dict[str, object]:
    """Return the rules after the change. A rule that keeps what is kept anyway is left out."""
    earlier: Any = before or {}
    fields = earlier.get("fields", NO_RULES)
    others = changed.other_fields or fields["others"]
    contract = changed.contract or earlier.get("contract", "evolve")
    keeps_all = others == "keep" and contract == "evolve"
    rules = {rule["field"]: dict(rule) for rule in fields["rules"]}
    for rule in rule_documents(changed.fields or ()):
        rules[rule["field"]] = rule
    return {
        "others": others,
        "rules": [rule for rule in rules.values() if len(rule) > 1 or not keeps_all],
    }
