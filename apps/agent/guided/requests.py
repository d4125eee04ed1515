"""The requests that guided mode understands."""

from __future__ import annotations

from dataclasses import dataclass

from apps.pipelines.schedules.english import ScheduleWords


@dataclass(frozen=True, slots=True)
class MakePipelines:
    """Copy streams of a source to a destination. Empty texts are missing.

    `patterns` choose streams, `excluded` has names and patterns of streams that are left out. With `separate`, each
    stream gets a pipeline of its own.
    """

    streams: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    all_streams: bool = False
    separate: bool = False
    source: str = ""
    destination: str = ""
    schedule: ScheduleWords | None = None
    sync_mode: str = ""
    write_mode: str = ""
    table: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class ListObjects:
    """List pipelines, runs, connectors, sources, destinations or streams. `of` is a pipeline or a source."""

    kind: str
    of: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True)
class ChangeState:
    """Run, cancel, retry, enable, disable or delete. An empty name means what was mentioned before."""

    action: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class DeleteConnector:
    """Delete a source or destination. `role` is empty if the request did not say which of the two."""

    name: str = ""
    role: str = ""


@dataclass(frozen=True, slots=True)
class Rename:
    """Give a pipeline another name. If `kind` is not "pipeline", the request names an object that cannot be renamed."""

    name: str = ""
    new_name: str = ""
    kind: str = "pipeline"


@dataclass(frozen=True, slots=True)
class ShowPipeline:
    """Show the settings of a pipeline."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class Explain:
    """Explain why a pipeline or the page's run is late, failing, waiting or empty, and propose a change that helps.

    `wants_change` is true for "fix it": then the answer says so if no change is known.
    """

    name: str = ""
    wants_change: bool = False


@dataclass(frozen=True, slots=True)
class ChangeSchedule:
    """Give a pipeline another schedule, or none if `schedule` has no plan."""

    name: str
    schedule: ScheduleWords


@dataclass(frozen=True, slots=True)
class AddStreams:
    """Let a pipeline read more streams of its source."""

    streams: tuple[str, ...]
    pipeline: str
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoveStreams:
    """Let a pipeline not read some streams any more. An empty name means what was mentioned before."""

    streams: tuple[str, ...]
    pipeline: str = ""
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChangeField:
    """Hash, redact or drop fields of a stream. `stream` is empty if the request did not name it."""

    treatment: str
    fields: tuple[str, ...]
    stream: str = ""
    pipeline: str = ""


@dataclass(frozen=True, slots=True)
class Backfill:
    """Read a window of a stream again. Without `stream` it is the only one; empty bounds are open."""

    stream: str = ""
    pipeline: str = ""
    start: str = ""
    end: str = ""


@dataclass(frozen=True, slots=True)
class SourceChanges:
    """Show what has changed at the source of a pipeline, or accept or ignore all of it."""

    pipeline: str = ""
    decision: str = ""


@dataclass(frozen=True, slots=True)
class MakeSource:
    """Make a source from an OpenAPI document, or another description of an API."""

    address: str = ""


@dataclass(frozen=True, slots=True)
class ConnectSystem:
    """Save the settings of a source or destination. `name` is what was said about its kind, if more than `kind`."""

    kind: str
    role: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Undo:
    """Undo the last change of the conversation."""


@dataclass(frozen=True, slots=True)
class Help:
    """Say what guided mode understands."""


@dataclass(frozen=True, slots=True)
class Consent:
    """Say yes. This is no approval: approvals are given with a button."""


@dataclass(frozen=True, slots=True)
class Thanks:
    """Say thanks."""


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """None of the requests."""


Request = (
    MakePipelines
    | ListObjects
    | ChangeState
    | DeleteConnector
    | Rename
    | ShowPipeline
    | Explain
    | ChangeSchedule
    | AddStreams
    | RemoveStreams
    | ChangeField
    | Backfill
    | SourceChanges
    | MakeSource
    | ConnectSystem
    | Undo
    | Help
    | Consent
    | Thanks
    | NotUnderstood
)
