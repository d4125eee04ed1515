"""A new organization with its people, and with an object for each page of the dashboard. It is made over the API."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx

from tests.agent.mcp.programs import call
from tests.journeys.conftest import Site
from tests.journeys.mails import wait_for_link
from tests.journeys.steps import create_pipeline, start_run, wait_for_run

PASSWORD = "correct horse battery staple"
SOURCE_CODE = """from drover import Page, Source
class Three(Source):
    streams = ["numbers"]
    def get(self, pagination=None):
        return Page([{"n": n} for n in range(3)])
"""
# Every hundredth record is rejected, which the first pipeline allows.
CODE = "def transform(record):\n    return {} if record['id'] % 100 == 0 else record\n"
STREAM: dict[str, Any] = {
    "stream": "generated",
    "sync_mode": "incremental",
    "write_mode": "append",
    "transforms": [{"kind": "python", "code": CODE}],
}
SOURCE = {"kind": "dummy", "config": {"rows": 1000}}


@dataclass(frozen=True)
class Person:
    """A member, and a client of the API that is logged in as this member."""

    role: str
    email: str
    client: httpx.Client


@contextmanager
def new_person(site: Site, role: str, **registration: str) -> Iterator[Person]:
    """Register a user with an organization, or with an invitation to one."""
    email = registration.setdefault("email", f"{role}-{uuid4().hex[:8]}@example.com")
    body = {"name": role.capitalize(), "password": PASSWORD, **registration}
    with httpx.Client(base_url=f"{site.url}/api/v1/", timeout=30) as client:
        answer = client.post("auth/register", json=body).raise_for_status()
        client.headers["Authorization"] = f"Bearer {answer.json()['access']}"
        yield Person(role, email, client)


def invite(site: Site, owner: Person, role: str) -> dict[str, str]:
    """Invite somebody. Returns what the person registers with."""
    email = f"{role}-{uuid4().hex[:8]}@example.com"
    body = {"email": email, "role": role}
    owner.client.post("org/invitations", json=body).raise_for_status()
    link = wait_for_link(site, email, "Join ")
    return {"email": email, "invitation": link.partition("#")[2]}


def fill_organization(client: httpx.Client) -> str:
    """Create an object of each kind. Returns the id of a failed run. The newest pipeline and its run have succeeded."""
    _create_small_objects(client)
    orders = {"name": "Orders", "role": "source", **SOURCE}
    connector = client.post("connectors", json=orders).raise_for_status().json()["id"]
    failing = create_pipeline(
        client,
        "Rejected orders",
        {
            "source": SOURCE,
            "streams": [STREAM],
            "destination": {"kind": "jsonl", "config": {}},
        },
    )
    failed_run = start_run(client, failing)
    wait_for_run(client, failed_run, "failed")
    places = {"kind": "files", "config": {"path": "places.csv", "stream_name": "places"}}
    create_pipeline(
        client,
        "Places of all shops",
        {
            "source": places,
            "streams": [{"stream": "places"}],
            "destination": {"kind": "jsonl", "config": {}},
        },
    )
    kept = create_pipeline(
        client,
        "Orders of all shops",
        {
            "source": {"connector_id": connector},
            "streams": [{**STREAM, "max_rejected_share": 0.5}],
            "destination": {"kind": "duckdb", "config": {}},
        },
        schedule="0 6 * * *",
        tags=["shop", "daily"],
    )
    # Nothing answers at this address, so the card of the pipeline shows a call that is repeated.
    call = {"url": "https://reports.invalid/update", "secret": "correct horse battery"}
    follow_up = {"name": "Report", "kind": "webhook", "settings": call}
    client.post(f"pipelines/{kept}/follow-ups", json=follow_up).raise_for_status()
    wait_for_run(client, start_run(client, kept))
    shown = [{"pipeline_id": kept, "name": "Orders"}, {"pipeline_id": failing}]
    freshness = {"title": "Data of the shops", "enabled": True, "pipelines": shown}
    client.post("freshness-pages", json=freshness).raise_for_status()
    return failed_run


@contextmanager
def live_runs(client: httpx.Client) -> Iterator[None]:
    """Have a run that is running, and one that waits for its next attempt. Afterwards they and their pipelines are gone."""
    with ExitStack() as stack:
        for name, settings, status in (
            ("Slow orders", {"page_size": 1, "delay": 1}, "running"),
            ("Orders of a source that is away", {"fail_after": 0}, "pending"),
        ):
            config = {
                "source": {"kind": "dummy", "config": {"rows": 1000, **settings}},
                "streams": [{"stream": "generated"}],
                "destination": {"kind": "jsonl", "config": {}},
            }
            pipeline = create_pipeline(client, name, config, max_attempts=10)
            run = start_run(client, pipeline)
            stack.callback(_remove_with_its_run, client, pipeline, run)
            wait_for_run(client, run, status)
        yield


def _remove_with_its_run(client: httpx.Client, pipeline: str, run: str) -> None:
    client.post(f"runs/{run}/cancel").raise_for_status()
    wait_for_run(client, run, "cancelled")
    client.delete(f"pipelines/{pipeline}").raise_for_status()


def _create_small_objects(client: httpx.Client) -> None:
    for name in ("places.csv", "unused.csv"):
        client.post("files", params={"name": name}, content=b"id\n1\n").raise_for_status()
    file = {"path": "places.csv", "stream_name": "places"}
    connector = {"name": "Places", "role": "source", "kind": "files", "config": file}
    for collection, body in (
        ("org/domains", {"name": "Marketing"}),
        ("org/invitations", {"email": "invited@example.com", "role": "member"}),
        ("views", {"name": "Failing", "filter": {"status": "failed"}}),
        ("connectors", connector),
        ("custom-sources", {"name": "Three", "code": SOURCE_CODE, "approve": True}),
    ):
        client.post(collection, json=body).raise_for_status()


def use_agent(site: Site, person: Person) -> None:
    """Begin a conversation, and let a program ask for a change, which nobody decides."""
    client = person.client
    client.post("agent/conversations", json={"title": "Flights"}).raise_for_status()
    pipeline = client.get("pipelines").raise_for_status().json()["results"][0]
    body = {"name": "Assistant", "role": "member", "expires_at": None}
    key = client.post("org/api-keys", json=body).raise_for_status().json()["key"]
    ask_over_mcp(
        site,
        key,
        "set_pipeline_enabled",
        {"pipeline_id": pipeline["id"], "enabled": not pipeline["enabled"]},
    )


def ask_over_mcp(site: Site, key: str, tool: str, arguments: dict[str, Any]) -> Any:
    """Call a tool over MCP, in a thread of its own, because the loop of Playwright runs in this thread."""
    program: Any = SimpleNamespace(text=key)
    with ThreadPoolExecutor(1) as threads:
        ok, answer = threads.submit(call, site.url, program, tool, **arguments).result()
    assert ok, answer
    return answer
