"""The check of a language model, with the real clients of three providers against local servers with one fault each."""

from __future__ import annotations

import json
import socket
from dataclasses import asdict
from typing import Any

import pytest

from apps.agent.chat_models.checks import process
from apps.agent.chat_models.checks.answers import NAMES, ModelCheckAnswer
from apps.agent.chat_models.connections import ModelConnection, Provider
from tests.agent.wire.formats import USAGE
from tests.agent.wire.good_model import Fault, GoodModel
from tests.agent.wire.replies import Reply
from tests.agent.wire.server import KEY, WireServer, wire_server

FORMATS = [Provider.OPENAI_COMPATIBLE, Provider.ANTHROPIC, Provider.GOOGLE]
all_formats = pytest.mark.parametrize("provider", FORMATS)


def check(connection: ModelConnection) -> ModelCheckAnswer:
    answer = process.check_model({"connection": asdict(connection)})
    assert KEY not in json.dumps(answer)
    assert tuple(row["name"] for row in answer["checks"]) == NAMES
    return answer


def states(answer: ModelCheckAnswer) -> dict[str, str]:
    return {row["name"]: row["state"] for row in answer["checks"]}


def row(answer: ModelCheckAnswer, name: str) -> Any:
    return next(row for row in answer["checks"] if row["name"] == name)


@all_formats
def test_a_good_model_passes_every_check(provider: Provider) -> None:
    with wire_server(GoodModel()) as server:
        answer = check(server.connection(provider))
    assert answer["ok"], answer
    assert set(states(answer).values()) == {"ok"}, answer
    assert len(server.requests) == 7
    assert (answer["input_tokens"], answer["output_tokens"]) == (7 * USAGE[0], 7 * USAGE[1])
    assert row(answer, "two_at_once")["tokens"] == 2 * sum(USAGE)
    assert KEY not in str(server.get_headers), "the first request does not send the key"


# (the fault, the check that tells it, its state, words of its message)
NEEDED = [
    (Fault.WRONG_KEY, "key", "failed", "refuses the key"),
    (Fault.CALL_AS_TEXT, "tool_calls", "failed", "as text"),
    (Fault.IDS_REPEAT, "call_ids", "warning", "repeat"),
    (Fault.CONTEXT_CUT, "context", "failed", "cuts long requests at the front"),
    (Fault.ONE_AT_ONCE, "two_at_once", "warning", "refuses or ends one of two requests"),
    (Fault.NOT_STRUCTURED, "structured_output", "warning", "ignores or rejects the form"),
]
OTHERS = [
    (Fault.UNKNOWN_MODEL, "key", "failed", "does not know"),
    (Fault.NO_CALL, "tool_calls", "failed", "does not call a tool"),
    (Fault.CUT_CALL, "tool_calls", "failed", "not complete JSON"),
    (Fault.WRONG_ARGUMENTS, "tool_calls", "warning", "other arguments"),
    (Fault.NO_SECOND_CALL, "call_ids", "warning", "does not call the tool again"),
    (Fault.CONTEXT_SMALL, "context", "failed", "smaller than 8,000 tokens"),
    (Fault.CONTEXT_FAILS, "context", "failed", "probably smaller"),
    (Fault.ONE_IS_ENDED, "two_at_once", "warning", "refuses or ends one of two requests"),
    (Fault.FORM_REJECTED, "structured_output", "warning", "ignores or rejects the form"),
    (Fault.CONTEXT_UNREAD, "context", "warning", "did not find the facts"),
    (Fault.ONE_PART, "streaming", "warning", "in one part"),
]


@pytest.mark.parametrize(
    ("provider", "fault", "name", "state", "words"),
    [
        *((provider, *case) for case in NEEDED for provider in FORMATS),
        *((Provider.OPENAI_COMPATIBLE, *case) for case in OTHERS),
    ],
)
def test_a_fault_is_told_and_the_other_checks_pass(
    provider: Provider, fault: Fault, name: str, state: str, words: str
) -> None:
    model = GoodModel(fault)
    with wire_server(model) as server:
        answer = check(server.connection(provider))
    assert model.fired, "the fault was not shown"
    told = row(answer, name)
    assert (told["state"], words in told["message"]) == (state, True), told
    assert told["next_step"] or "no harm" in told["message"] or "does not need" in told["message"]
    assert "Ask an admin" not in told["next_step"], "an admin reads it"
    assert answer["ok"] == (state != "failed")
    others = {n: s for n, s in states(answer).items() if n != name}
    assert set(others.values()) <= {"ok", "skipped"}, answer


@all_formats
def test_a_server_that_does_not_stream_is_told(provider: Provider) -> None:
    """Google's client reads a whole body as one part of a stream."""
    model = GoodModel(Fault.NO_STREAM)
    with wire_server(model) as server:
        answer = check(server.connection(provider))
    assert model.fired
    assert row(answer, "key")["state"] == "ok"
    expected = "warning" if provider == Provider.GOOGLE else "failed"
    assert row(answer, "streaming")["state"] == expected, answer


@all_formats
def test_a_server_that_is_not_there_is_told(provider: Provider) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        connection = WireServer(url, []).connection(provider)
        answer = check(connection)
    assert not answer["ok"]
    assert "There is no connection to 127.0.0.1" in row(answer, "reachable")["message"]
    assert list(states(answer).values()) == ["failed"] + ["skipped"] * 7
    assert answer["input_tokens"] == 0


def test_a_private_address_is_refused_unless_it_is_allowed() -> None:
    with wire_server(GoodModel()) as server:
        connection = server.connection(Provider.OPENAI_COMPATIBLE, allow_private=False)
        answer = check(connection)
    assert "are not allowed" in row(answer, "reachable")["message"]
    assert (server.requests, server.get_headers) == ([], [])


def test_a_redirect_is_told_and_not_followed() -> None:
    with wire_server(GoodModel()) as other:
        target = f"{other.url}/v1/chat/completions"
        with wire_server([Reply(status=307, headers={"Location": target})]) as server:
            answer = check(server.connection(Provider.OPENAI_COMPATIBLE))
    assert "redirects" in row(answer, "key")["message"]
    assert other.requests == []


def test_slow_answers_end_after_the_time_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "CHECK_SECONDS", 0.5)
    monkeypatch.setattr(process, "TOTAL_SECONDS", 1.2)
    replies = [Reply("one, two, three"), Reply("one, two", silence=30)]
    with wire_server(replies) as server:
        answer = check(server.connection(Provider.ANTHROPIC))
    assert row(answer, "tool_calls")["state"] == "failed"
    assert "within" in row(answer, "tool_calls")["message"]
    assert row(answer, "tool_calls")["tokens"] > 0, "the answer had begun"
    assert "time for all checks" in row(answer, "structured_output")["message"]
    assert sum(r["ms"] for r in answer["checks"]) < 3000
