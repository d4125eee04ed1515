"""Programs that use Drover over MCP: API keys, and the official package's client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpx2
import orjson
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from apps.agent.sources import marking
from apps.orgs.keys import services as api_keys
from apps.orgs.keys.services import CreatedKey
from apps.orgs.roles import Permission, Role
from tests.isolation.planted import principal
from tests.world import World

ResultT = TypeVar("ResultT")
ERAS = ("legacy", "2026-07-28")  # the handshake of 2025-11-25, and requests without one


def make_key(
    world: World, role: Role = Role.MEMBER, scopes: Sequence[Permission] = ()
) -> CreatedKey:
    with world.scope():
        by = principal(world, Role.MEMBER)
        return api_keys.create(org=world.org, by=by, name="Program", role=role, scopes=scopes)


@asynccontextmanager
async def connect(address: str, key: CreatedKey, era: str) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {key.text}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        transport = streamable_http_client(f"{address}/mcp", http_client=http)
        async with Client(transport, mode=era) as client:
            yield client


def run_program(
    address: str, key: CreatedKey, era: str, steps: Callable[[Client], Awaitable[ResultT]]
) -> ResultT:
    """Connect a client, and return what `steps` returns."""

    async def program() -> ResultT:
        async with connect(address, key, era) as client:
            return await steps(client)

    return asyncio.run(program())


def list_tools(address: str, key: CreatedKey, era: str = ERAS[1]) -> list[str]:
    async def steps(client: Client) -> list[str]:
        return [tool.name for tool in (await client.list_tools()).tools]

    return run_program(address, key, era, steps)


def call(
    address: str, key: CreatedKey, tool: str, era: str = ERAS[1], /, **arguments: Any
) -> tuple[bool, Any]:
    """Return whether the call succeeded, and the JSON of its answer."""
    return run_program(address, key, era, lambda client: call_with(client, tool, **arguments))


async def call_with(client: Client, tool: str, /, **arguments: Any) -> tuple[bool, Any]:
    """Return whether the call succeeded, and the JSON of its answer."""
    result = await client.call_tool(tool, arguments)
    answer = orjson.loads(result.content[0].text)  # type: ignore[union-attr]
    return not result.is_error, {name: _unmarked(value) for name, value in answer.items()}


def _unmarked(value: Any) -> Any:
    """Return the value of a block of data, and other values unchanged."""
    found = marking.read_json(value) if str(value).startswith("<data>") else None
    return value if found is None else found
