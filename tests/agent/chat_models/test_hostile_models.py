"""Servers of language models that want to fill the memory of the worker, or to keep its event loop busy."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from apps.agent.chat_models import strict
from apps.agent.chat_models.connections import ModelConnection, Provider
from tests.agent.chat_models.test_strict import FORMATS, LIST, ask, fail
from tests.agent.wire.replies import Reply, WireCall
from tests.agent.wire.server import wire_server

BOMB = gzip.compress(b": " + b" " * 50_000_000)
SECONDS = 20.0  # on a loaded machine; without the merge at the end it was more than a minute


@contextmanager
def compressing_server() -> Iterator[tuple[str, list[str]]]:
    """Start a server whose responses are compressed. Yields its address, and what each request accepts."""
    accepted: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            accepted.append(str(self.headers["Accept-Encoding"]))
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(BOMB)))
            self.end_headers()
            self.wfile.write(BOMB)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", accepted
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("provider", FORMATS)
def test_a_compressed_answer_is_refused_and_never_unpacked(provider: Provider) -> None:
    with compressing_server() as (url, accepted):
        failure = fail(
            ModelConnection(provider=provider, model="m", base_url=url, allow_private=True)
        )

    assert failure.code == "model_compressed"
    assert accepted == ["identity"]


@pytest.mark.parametrize("provider", FORMATS[:2])
def test_a_call_with_long_arguments_in_small_pieces_does_not_keep_the_event_loop_busy(
    provider: Provider,
) -> None:
    arguments = json.dumps({"name": "x" * 60_000})
    call = WireCall("list_pipelines", arguments, pieces=6_000)
    with wire_server([Reply("", (call,))]) as server:
        began = time.process_time()
        answer, _ = ask(server.connection(provider))
        seconds = time.process_time() - began

    assert answer.tool_calls[0]["args"] == {"name": "x" * 60_000}
    assert seconds < SECONDS


@pytest.mark.parametrize("provider", FORMATS[:2])
def test_a_call_that_is_too_long_is_answered_with_a_repair(provider: Provider) -> None:
    arguments = json.dumps({"name": "x" * strict.MAX_CALLS_LENGTH})
    long_call = WireCall("list_pipelines", arguments, pieces=100)
    with wire_server([Reply("", (long_call,)), Reply("", (LIST,))]) as server:
        answer, _ = ask(server.connection(provider))

    assert [call["args"] for call in answer.tool_calls] == [{"name": "flights"}]
    assert "too many or too long" in str(server.requests[1].body)


@pytest.mark.parametrize("provider", FORMATS)
def test_an_answer_with_thousands_of_calls_is_answered_with_a_repair(provider: Provider) -> None:
    calls = tuple(
        WireCall("list_pipelines", "{}", id=f"call_{number}", pieces=1)
        for number in range(strict.MAX_PARTS + 10)
    )
    with wire_server([Reply("", calls), Reply("", (LIST,))]) as server:
        answer, _ = ask(server.connection(provider))

    assert len(answer.tool_calls) == 1
    assert "too many or too long" in str(server.requests[1].body)


@pytest.mark.parametrize("provider", FORMATS[:2])
def test_an_answer_that_takes_too_long_in_all_fails_although_each_part_arrives_in_time(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strict, "MAX_ANSWER_SECONDS", 1.0)
    with wire_server([Reply("The pipelines run.", silence=3.0)]) as server:
        connection = server.connection(provider)
        assert connection.timeout > 3.0
        assert fail(connection).code == "model_timeout"
