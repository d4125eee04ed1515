"""Each source with several streams lists all of them, and one pipeline with patterns copies those that match."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from django.core.files.storage import default_storage
from pytest_django import Settings

from apps.connectors import engine
from apps.connectors.checks import discoveries
from apps.connectors.custom_sources import services as custom_sources
from apps.connectors.custom_sources.checked_code import CheckedCode
from apps.connectors.models import Connector
from apps.connectors.storage import data_root, files_root
from apps.engine import EngineSupervisor
from apps.engine.authoring.validation import validate
from apps.engine.process import confinement
from apps.orgs.principals import SYSTEM
from apps.runs.execute import Worker
from apps.runs.outputs import storage
from tests.databases.moving import Arrived, read_parquet
from tests.engine.sources.api import ReceivedRequest, Reply, serve_api
from tests.runs.claiming.test_attempts import work_until_idle
from tests.runs.processes import start_run
from tests.world import World, make_connector, make_pipeline

SIZES = {"items": 5, "items_tmp": 4, "orders": 30}  # streams, and their numbers of records
CODE = """
from drover import RestSource, Stream


class Shop(RestSource):
    base_url = "http://127.0.0.1:{port}"
    streams = [Stream("orders"), Stream("items"), Stream("items_tmp")]
"""


@pytest.fixture(autouse=True)
def private_networks(settings: Settings) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = True


def reply_to(request: ReceivedRequest) -> Reply:
    return Reply([{"id": n} for n in range(SIZES[request.path.strip("/")])])


@contextmanager
def rest(world: World) -> Iterator[tuple[str, dict[str, Any]]]:
    with serve_api(reply_to) as api:
        streams = [{"name": name, "path": f"/{name}"} for name in SIZES]
        yield "rest", {"base_url": api.url, "streams": streams}


@contextmanager
def custom(world: World) -> Iterator[tuple[str, dict[str, Any]]]:
    with serve_api(reply_to) as api:
        code = CODE.format(port=api.port)
        with world.scope():
            source = custom_sources.create(
                org=world.org,
                by=SYSTEM,
                name="Shop",
                code=code,
                checked=CheckedCode(code, validate(code).to_json()),
                approve=True,
            )
        yield source.kind, {}


@contextmanager
def files(world: World) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, size in SIZES.items():
        lines = "\n".join(str(number) for number in range(size))
        content = f"id\n{lines}\n".encode()
        storage.write(f"{files_root(world.org.pk).prefix}/{name}.csv", content)
    yield "files", {"path": "*.csv", "one_stream_per": "name"}


@contextmanager
def kafka(world: World) -> Iterator[tuple[str, dict[str, Any]]]:
    """A broker of librdkafka's mock cluster, which speaks the protocol of Kafka over real sockets."""
    producer = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1})
    (broker,) = producer.list_topics(timeout=10).brokers.values()
    for name, size in SIZES.items():
        for number in range(size):
            producer.produce(name, json.dumps({"id": number}), key=json.dumps(number))
    assert producer.flush(10) == 0
    servers = f"{broker.host}:{broker.port}"
    config = {"bootstrap_servers": servers, "security_protocol": "PLAINTEXT", "consumer_timeout": 5}
    yield "kafka", config
    producer.flush(1)


Source = Callable[[World], AbstractContextManager[tuple[str, dict[str, Any]]]]


@pytest.mark.parametrize("source", [rest, custom, files, kafka])
def test_all_streams_are_listed_and_those_that_match_are_copied(
    source: Source, acme: World, this_worker: Worker
) -> None:
    with source(acme) as (kind, config):
        connector = make_connector(acme, kind=kind, config=config)
        require_listed_once(acme, connector, set(SIZES))
        arrived = copy_matching(acme, this_worker, connector, ["*", "!*_tmp"])
    assert {stream: ids_of(kind, rows) for stream, rows in arrived.items()} == {
        "items": list(range(5)),
        "orders": list(range(30)),
    }


def test_the_streams_of_a_source_of_bizon_are_listed_and_those_that_match_are_copied(
    acme: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reply(request: ReceivedRequest) -> Reply:
        stream = request.path.strip("/")
        rows = [{"name": f"{stream}-{number}", "url": "u"} for number in range(3)]
        return Reply({"count": 3, "next": None, "results": rows})

    with serve_api(reply) as api:
        passed = (*confinement.INHERITED_VARIABLES, "LOCAL_POKEAPI_URL")
        monkeypatch.setattr(confinement, "INHERITED_VARIABLES", passed)
        monkeypatch.setenv("LOCAL_POKEAPI_URL", api.url)
        supervisor = EngineSupervisor(preload=("tests.runs.tables.local_pokeapi",))
        supervisor.start(wait=60)
        monkeypatch.setattr(engine, "supervisor", lambda: supervisor)
        try:
            connector = make_connector(acme, kind="pokeapi", config={})
            require_listed_once(acme, connector, {"pokemon", "berry", "item"})
            worker = Worker("tests", supervisor, threading.Event())
            arrived = copy_matching(acme, worker, connector, ["*", "!item"])
        finally:
            supervisor.close()
    names = {
        stream: [row[list(rows.types).index("name")] for row in rows.rows]
        for stream, rows in arrived.items()
    }
    assert names == {
        "pokemon": ["pokemon-0", "pokemon-1", "pokemon-2"],
        "berry": ["berry-0", "berry-1", "berry-2"],
    }


def require_listed_once(world: World, connector: Connector, names: set[str]) -> None:
    """Require that the source lists the streams, that the list is stored, and that a refresh replaces it.

    The list of files is not stored, because a file can be replaced at any time.
    """
    path = f"/api/v1/connectors/{connector.pk}/streams"
    found = world.client().get(path).json()
    assert found["ok"], found
    assert {stream["name"] for stream in found["streams"]} == names
    stored = world.client().get(path).json()
    if connector.kind not in discoveries.KINDS_NOT_STORED:
        assert world.client().get(path).json() == stored
    refreshed = world.client().get(path, {"refresh": "true"}).json()
    assert refreshed["found_at"] > stored["found_at"]
    assert found["streams"] == stored["streams"] == refreshed["streams"]


def copy_matching(
    world: World, worker: Worker, connector: Connector, match: list[str]
) -> dict[str, Arrived]:
    """Run a pipeline with the patterns into Parquet, and return what has arrived of each stream."""
    config = {
        "source": {"connector_id": str(connector.pk)},
        "patterns": {"match": match},
        "destination": {"kind": "parquet", "config": {}},
    }
    pipeline = make_pipeline(world, config=config)
    run_id = start_run(world, pipeline)
    work_until_idle(worker)
    run = world.client().get(f"/api/v1/runs/{run_id}").json()
    assert run["status"] == "succeeded", run
    root = Path(default_storage.path(data_root(world.org.pk, pipeline.pk).prefix))
    arrived = {}
    for row in world.client().get(f"/api/v1/runs/{run_id}/streams").json()["results"]:
        table = read_parquet(root / row["table"])
        assert table is not None
        assert len(table.rows) == row["written"]
        arrived[row["stream"]] = table
    return arrived


def ids_of(kind: str, arrived: Arrived) -> list[int]:
    """Return the sorted ids. A record of Kafka has the message in its field `value`."""
    column = list(arrived.types).index("value" if kind == "kafka" else "id")
    values = [row[column] for row in arrived.rows]
    return (
        sorted(json.loads(value)["id"] for value in values) if kind == "kafka" else sorted(values)
    )
