"""Requests of hostile programs to `/mcp`: each gets an answer in time, and the server stays usable."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from apps.orgs.roles import Role
from tests.agent.mcp.programs import list_tools, make_key
from tests.world import World, token_for

HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
PING = '{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}'
CALL = (
    '{"jsonrpc": "2.0", "id": 1, "method": "tools/call",'
    ' "params": {"name": "list_pipelines", "arguments": {"x": %s}}}'
)
BODIES = {
    "deep nesting": CALL % ("[" * 20_000 + "]" * 20_000),
    "a NUL character": CALL % '"\\u0000"',
    "half a character": CALL % '"\\ud800"',
    "no number": CALL % "NaN",
    "a large number": CALL % ("9" * 100_000),
    "a batch": f"[{', '.join([PING] * 1000)}]",
    "no JSON": "{",
    "no UTF-8": "\udcff\udcfe",
    "no body": "",
}


def post(server: str, text: str, **headers: str) -> Any:
    content = text.encode("utf-8", "surrogateescape")
    return httpx2.post(f"{server}/mcp", content=content, headers={**HEADERS, **headers}, timeout=60)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_malformed_request_is_answered_with_an_error(
    server: str, world: World, body: str
) -> None:
    key = make_key(world)

    answer = post(server, body, Authorization=f"Bearer {key.text}")

    is_error = answer.status_code in range(400, 500) or "rror" in answer.text
    assert is_error, (answer.status_code, answer.text[:300])
    assert "Traceback" not in answer.text
    assert "list_pipelines" in list_tools(server, key)


@pytest.mark.parametrize("place", ["cookie", "query"])
def test_a_browser_of_a_member_cannot_be_used_from_another_page(
    server: str, world: World, place: str
) -> None:
    """The access token of a session is no API key, and cookies and addresses are not read at all."""
    token = token_for(world.users[Role.MEMBER], world.org)
    headers = {"Cookie": f"drover_refresh={token}; sessionid={token}"} if place == "cookie" else {}
    address = server if place == "cookie" else f"{server}/mcp?ticket={token}&token={token}#"

    answers = [
        httpx2.post(f"{server}/mcp", content=PING, headers={**HEADERS, **headers}),
        httpx2.post(f"{address}", content=PING, headers={**HEADERS, **headers}),
        post(server, PING, Authorization=f"Bearer {token}"),
    ]

    assert {answer.status_code for answer in answers} <= {401, 403, 404, 405}


def test_many_requests_without_a_key_do_not_stop_those_with_a_key(
    server: str, world: World
) -> None:
    key = make_key(world)
    headers = {**HEADERS, "Authorization": "Bearer drv_x"}
    with ThreadPoolExecutor(40) as pool, httpx2.Client(timeout=60) as client:
        attacks = [
            pool.submit(client.post, f"{server}/mcp", content=PING, headers=headers)
            for _ in range(120)
        ]
        tools = list_tools(server, key)
        statuses = {attack.result().status_code for attack in attacks}

    assert "list_pipelines" in tools
    assert statuses <= {401, 429}
