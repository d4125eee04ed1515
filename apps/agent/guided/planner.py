"""Decide the next step of guided mode from the messages of the thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from langchain_core.messages import BaseMessage

from apps.agent.guided.intents import (
    connecting,
    explaining,
    listing,
    making,
    pipelines,
    schedules,
    sources,
    streams,
    undoing,
)
from apps.agent.guided.requests import (
    AddStreams,
    Backfill,
    ChangeField,
    ChangeSchedule,
    ChangeState,
    ConnectSystem,
    Consent,
    DeleteConnector,
    Explain,
    Help,
    ListObjects,
    MakePipelines,
    MakeSource,
    NotUnderstood,
    RemoveStreams,
    Rename,
    Request,
    ShowPipeline,
    SourceChanges,
    Thanks,
    Undo,
)
from apps.agent.guided.turns import OtherRequest, Step, StepTaken, Turn

MAX_REQUESTS = 5  # in one turn: each answer to a question may be another request
INTRODUCTION = (
    "I am Drover's guided mode, not a language model: I understand a fixed set of requests."
)
EXAMPLES = """You can say, for example:
- copy flights from Flights database to Parquet files every 6 hours
- copy the whole Flights database to Parquet files, copy flights and airlines from Flights database to Parquet files
- list pipelines, list failed runs, list streams of Flights database
- enable flights, run it, cancel it, retry it, delete it
- why is flights late?
- change the schedule of flights to weekdays at 7:30 in Berlin
- rename flights to arrivals, undo it
- add airlines to flights, stop copying airlines, hash the email column of passengers in flights
- what has changed at the source of flights? backfill flights from 2026-01-01
- connect postgres
- make a source from https://api.example.com/openapi.json

An admin can choose a language model in the settings."""
CONSENT = (
    "I cannot take a message as an approval: press **Approve** under the request. If you have sent a message instead,"
    " the request is closed: say again what you want."
)
NOT_UNDERSTOOD = "I do not understand that."


def next_step(messages: Sequence[BaseMessage]) -> Step:
    """Return the next step. The first answer of a conversation says that this is not a language model."""
    turn = Turn(messages)
    step = _step(turn)
    if not turn.is_first_answer:
        return step
    return replace(
        step, text=f"{INTRODUCTION} {step.text}".rstrip() + ("\n\n" if step.calls else "")
    )


def _step(turn: Turn) -> Step:
    request = sources.read_in_builder(turn, turn.request)
    for _ in range(MAX_REQUESTS):
        try:
            return Step(_answer(turn, request))
        except StepTaken as taken:
            return taken.step
        except OtherRequest as other:
            request = sources.read_in_builder(turn, other.text)
    return Step("Please begin again with one request.")


def _answer(turn: Turn, request: Request) -> str:
    """Return the answer to the request. Raises StepTaken and OtherRequest."""
    if isinstance(request, MakeSource):
        turn.enter_source_builder()
    elif not isinstance(request, Help | NotUnderstood):
        turn.leave_source_builder()
    match request:
        case MakePipelines():
            return making.make_pipelines(turn, request)
        case AddStreams():
            return streams.add_streams(turn, request)
        case ChangeField():
            return streams.change_field(turn, request)
        case Backfill():
            return streams.backfill(turn, request)
        case SourceChanges():
            return streams.source_changes(turn, request)
        case RemoveStreams():
            return streams.remove_streams(turn, request)
        case ListObjects():
            return listing.list_objects(turn, request)
        case ChangeState():
            return pipelines.change_state(turn, request)
        case DeleteConnector():
            return connecting.delete_connector(turn, request)
        case Rename():
            return pipelines.rename(turn, request)
        case ShowPipeline():
            return pipelines.show_pipeline(turn, request)
        case ChangeSchedule():
            return schedules.change_schedule(turn, request)
        case Explain():
            return explaining.explain(turn, request)
        case ConnectSystem():
            return connecting.connect_system(turn, request)
        case Undo():
            return undoing.undo(turn)
        case MakeSource():
            return sources.make_source(turn, request)
        case Help():
            return EXAMPLES
        case Consent():
            return CONSENT
        case Thanks():
            return "You are welcome."
    return f"{NOT_UNDERSTOOD} {EXAMPLES}"
