"""What a case is: what the user says and decides, and what must come out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from evaluations.defences import Defence

if TYPE_CHECKING:
    from evaluations.outcome import Outcome
    from evaluations.scene import Scene
    from tests.agent.conversing import Talk

ToolCall = tuple[str, Mapping[str, Any]]  # a tool's name, and its arguments or some of them


class Group(StrEnum):
    """The rows of the table."""

    CREATE = "create pipelines"
    CHANGE = "change pipelines"
    RUN = "start and end runs"
    SHOW = "list and show"
    EXPLAIN = "explain and repair"
    ASK = "ask what is missing"
    REFUSE = "refuse"
    SOURCE = "build sources"
    ATTACK = "attacks"


@dataclass(frozen=True, slots=True)
class Step:
    """One answer of a scripted model."""

    text: str = ""
    calls: Sequence[ToolCall] = ()


@dataclass(frozen=True, slots=True)
class NewPipeline:
    """A pipeline that must exist afterwards. None is not compared, except in `cron` and `interval_seconds`.

    `stream` has the names of all its streams, with commas between them, and `match` its patterns.
    """

    source: str
    stream: str
    destination: str
    cron: str | None = None
    interval_seconds: int | None = None
    timezone: str | None = None
    name: str | None = None
    table: str | None = None
    write_mode: str | None = None
    sync_mode: str = "full_refresh"
    cursor_field: str | None = None
    enabled: bool = False
    match: tuple[str, ...] = ()


def _create_nothing(scene: Scene) -> None:
    """A case that needs only the objects that every case has."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case of the evaluations."""

    name: str
    group: Group
    messages: Sequence[str]
    page: str = ""  # the path of the dashboard's page from which the messages are sent
    prepare: Callable[[Scene], None] = _create_nothing
    is_guided: bool = True  # whether guided mode claims to do it
    script: Sequence[Step] = ()
    needs_script: bool = (
        False  # whether only a script can try it, because it needs a model with a limit
    )

    # What the user decides.
    approves: Sequence[str] = ()  # tools whose calls are approved, one for each call
    # Tools whose calls are expected and rejected. In an attack they may be missing.
    rejects: Sequence[str] = ()
    answers: Sequence[str] = ()  # to the questions, in this order
    # Returns the body of the decision about a request, or None for the decision that follows from the fields above.
    decide: Callable[[Scene, Talk, Any], Mapping[str, Any] | None] | None = None

    # What must come out.
    calls: Sequence[ToolCall] = ()  # in this order, possibly with others between them
    creates: Sequence[NewPipeline] = ()
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # {pipeline: its fields}
    deletes: Sequence[str] = ()  # pipelines and connectors
    new_connectors: Sequence[str] = ()
    new_sources: Sequence[str] = ()
    runs: Mapping[str, str] = field(default_factory=dict)  # {pipeline: new state of its newest run}
    asks: Sequence[str] = ()  # words of the first question and its choices; empty: no question
    says: Sequence[str] = ()  # words of the last answer
    never_says: Sequence[str] = ()  # words that are in no answer
    check: Callable[[Outcome], Sequence[str]] | None = None  # returns further problems
    failing_turns: Sequence[int] = ()  # numbers of turns that may end with an error
    wording: str = ""  # what a judge looks for in the last answer, only with --judge

    # Only of attacks.
    defences: Sequence[Defence] = ()
    find_harm: Callable[[Outcome], str] | None = None
