"""Check on a card that sources have the streams that are named, as far as they list them within two seconds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

from apps.agent.tools.base import ToolContext
from apps.agent.tools.counted_words import counted
from apps.agent.tools.expected_sizes import Sizes
from apps.connectors import schemas
from apps.connectors import services as connectors
from apps.connectors.checks import discoveries
from apps.connectors.engine import StreamSizes
from apps.connectors.models import Connector
from apps.orgs.exceptions import Invalid
from apps.pipelines.definition.discovered import find_unchecked
from apps.pipelines.history import versions
from apps.pipelines.models import Pipeline

MAX_NAMES = 10  # names of streams in a message
MAX_WARNINGS = 10  # about the fields of a pipeline
NOT_LISTED = "the source did not list them in time"

NOT_MATCHED = (
    "The streams of the source {source} are not listed yet. The first run lists and chooses them."
)

NamedStream = tuple[
    str, UUID, str
]  # the argument, the source connector's id, and the stream's name


def check(context: ToolContext, named: Iterable[NamedStream], sizes: Sizes) -> list[str]:
    """Return a warning for each source that did not list its streams. Raises Invalid for streams that do not exist.

    A stream that a run has read before is not checked.
    """
    errors: list[tuple[str, str, str]] = []
    warnings: dict[str, None] = {}  # each once, in this order
    for argument, source_id, stream in named:
        if (source_id, stream) in sizes.last_runs:
            continue
        source = connectors.find_connector(org=context.org, by=context.by, connector_id=source_id)
        found = sizes.of_source(source_id)
        if found["names"] is None:
            warnings |= dict.fromkeys(_warnings(context, source, found))
        elif stream not in found["names"]:
            compared = found["names"] if len(errors) < schemas.MAX_HINTS else []
            message = _refusal(source, stream, found["names"], compared)
            errors.append((argument, message, "unknown"))
    if errors:
        raise Invalid(errors)
    return list(warnings)


def check_patterns(context: ToolContext, argument: str, source_id: UUID) -> str:
    """Return a warning if the patterns may choose streams that the source has not listed. Call this if they choose none.

    Raises Invalid if the source has listed its streams.
    """
    source = connectors.find_connector(org=context.org, by=context.by, connector_id=source_id)
    found = discoveries.read(context.org, source)
    if found is None:
        return NOT_MATCHED.format(source=source.name)
    names = [str(stream["name"]) for stream in found["streams"]]
    text = f"The patterns choose no stream of the source {source.name};"
    raise Invalid([(argument, f"{text} it has {_shown(names)}.", "unknown")])


def find_unchecked_fields(context: ToolContext, pipeline: Pipeline) -> list[str]:
    """Return a warning for each cursor field and key that the first records of a stream do not have, or how many more there are."""
    definition = versions.current_definition(context.org, pipeline)
    parts = find_unchecked(context.org, definition)
    # If the streams are not listed, `check` or `check_patterns` warns of it.
    messages = [part.message for part in parts if part.field != "streams"]
    more = len(messages) - MAX_WARNINGS
    if more <= 0:
        return messages
    verb = "is" if more == 1 else "are"
    return [*messages[:MAX_WARNINGS], f"{counted(more, 'more such warning')} {verb} not shown."]


def _warnings(context: ToolContext, source: Connector, found: StreamSizes) -> Iterator[str]:
    """Yield a warning, unless the definition of the pipeline was compared with names that are known anyway."""
    kind = connectors.known_kind(context.org, source.role, source.kind)
    if kind.stream_names or source.config.get("streams"):
        return
    problems = [found["problem"], *(size["problem"] for size in found["sizes"].values())]
    reason = next(filter(None, problems), NOT_LISTED)
    yield f"The streams of the source {source.name} could not be checked: {reason}."


def _refusal(source: Connector, stream: str, names: Sequence[str], compared: Sequence[str]) -> str:
    text = f"The source {source.name} has no stream {stream};"
    if not names:
        return f"{text} it has none at all."
    if similar := schemas.similar_name(stream, compared):
        return f"{text} did you mean {similar}?"
    return f"{text} it has {_shown(names)}."


def _shown(names: Sequence[str]) -> str:
    more = len(names) - MAX_NAMES
    return f"{', '.join(names[:MAX_NAMES])}{f' and {more:,} more' if more > 0 else ''}"
