"""A card for a stream that its source does not have is refused, and the refusal names the streams that exist."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection

from apps.agent.tools import stream_names
from apps.connectors import engine
from apps.connectors.checks import discoveries
from apps.orgs.exceptions import Invalid
from tests.agent.conversing import begin
from tests.agent.scripted_model import Step, use_script
from tests.agent.tools.runs import ended_run
from tests.agent.tools.use import card
from tests.world import World, make_connector, make_pipeline, make_world

API = {
    "base_url": "http://127.0.0.1:9",
    "streams": [
        {"name": "orders", "path": "/orders", "cursor_field": "changed", "cursor_param": "since"}
    ],
}
LOGGER = {"role": "destination", "kind": "logger"}


@pytest.fixture(scope="module", autouse=True)
def _close_supervisor_afterwards() -> Iterator[None]:
    yield
    engine.supervisor().close()
    engine.supervisor.cache_clear()


def own_database() -> dict[str, Any]:
    """Return the settings of a source that reads the database of the tests."""
    database: Any = django_settings.DATABASES["default"]
    return {
        "host": "127.0.0.1",
        "port": int(database["PORT"]),
        "database": connection.settings_dict["NAME"],
        "user": database["USER"],
        "password": database["PASSWORD"] or "none",
        "sslmode": "disable",
    }


def proposal(world: World, source: Any, stream: str) -> dict[str, Any]:
    return {
        "name": "new",
        "source_connector_id": str(source.pk),
        "destination_connector_id": str(make_connector(world, **LOGGER).pk),
        "streams": [{"stream": stream}],
    }


def refused(world: World, tool: str, **arguments: Any) -> tuple[str, str]:
    """Return the field and the message with which the card is refused."""
    with pytest.raises(Invalid) as caught:
        card(world, tool, **arguments)
    ((field, message, code),) = caught.value.errors
    assert code == "unknown"
    return field, message


def test_a_proposal_of_a_stream_that_the_source_does_not_have_is_refused(world: World) -> None:
    source = make_connector(world, name="uploads", kind="files", config={"path": "a.csv"})
    field, message = refused(
        world, "create_pipelines", pipelines=[proposal(world, source, "orders")]
    )
    assert field == "pipelines.0.streams.0.stream"
    assert message == "The source uploads has no stream orders; it has a."


def test_the_streams_of_a_database_are_listed_and_the_list_is_bounded(
    world: World, settings: Any
) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = True
    source = make_connector(world, name="shop", kind="postgres", config=own_database())
    wrong = [proposal(world, source, "agent_turns")]
    assert "did you mean agent_turn?" in refused(world, "create_pipelines", pipelines=wrong)[1]
    wrong = [proposal(world, source, "zzz")]
    message = refused(world, "create_pipelines", pipelines=wrong)[1]
    assert message.count(",") == stream_names.MAX_NAMES - 1
    assert message.endswith("more.")
    right = [proposal(world, source, "agent_turn")]
    assert not any("streams" in w for w in warnings(world, "create_pipelines", pipelines=right))


def test_a_card_says_which_fields_the_first_records_do_not_have(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing listens there, so the names are those of the settings, and the fields those of the last list.
    source = make_connector(world, name="api", kind="rest", config=API)
    fields: Any = [{"name": "id", "type": "integer", "nullable": True}]
    listed: Any = {"name": "orders", "fields": fields, "primary_key": ["id"], "cursor_fields": []}
    with world.scope():
        listed |= {"sync_modes": ["full_refresh", "incremental"]}
        discoveries.store(world.org, source, [listed], code_version=None)
    proposed = proposal(world, source, "orders")
    proposed["streams"][0] |= {
        "sync_mode": "incremental",
        "cursor_field": "changed",
        "write_mode": "append",
    }
    expected = "The first records of orders have no field changed. Later ones may have it."
    assert expected in warnings(world, "create_pipelines", pipelines=[proposed])
    with monkeypatch.context() as patch:
        patch.setattr(stream_names, "MAX_WARNINGS", 0)
        shown = warnings(world, "create_pipelines", pipelines=[proposed])
    assert "1 more such warning is not shown." in shown
    assert expected not in shown
    proposed["streams"][0] |= {
        "sync_mode": "full_refresh",
        "cursor_field": None,
        "write_mode": "replace",
    }
    assert expected not in warnings(world, "create_pipelines", pipelines=[proposed])


def warnings(world: World, tool: str, **arguments: Any) -> list[str]:
    shown: Any = card(world, tool, **arguments)
    return list(shown["warnings"])


@pytest.fixture
def unreachable(world: World, settings: Any) -> Any:
    settings.ALLOW_PRIVATE_NETWORKS = True
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    return make_connector(
        world, name="away", kind="postgres", config={**own_database(), "port": port}
    )


def test_the_card_says_that_the_streams_could_not_be_checked(
    world: World, unreachable: Any
) -> None:
    proposed = [proposal(world, unreachable, "public.orders")]
    expected = (
        "The streams of the source away could not be checked:"
        " the source cannot be read now (source)."
    )
    assert expected in warnings(world, "create_pipelines", pipelines=proposed)


def test_a_stream_that_a_run_has_read_is_not_checked_again(world: World, unreachable: Any) -> None:
    config = {
        "source": {"connector_id": str(unreachable.pk)},
        "streams": [{"stream": "public.orders"}],
        "destination": {"kind": "logger", "config": {}},
    }
    ended_run(world, make_pipeline(world, name="older", config=config))
    proposed = [proposal(world, unreachable, "public.orders")]
    assert not any("streams" in w for w in warnings(world, "create_pipelines", pipelines=proposed))


@pytest.fixture
def pipeline(world: World) -> Any:
    source = make_connector(world, name="uploads", kind="files", config={"path": "a.csv"})
    config = {
        "source": {"connector_id": str(source.pk)},
        "streams": [{"stream": "a"}],
        "destination": {"kind": "logger", "config": {}},
    }
    return make_pipeline(world, config=config)


def test_a_change_to_a_stream_that_the_source_does_not_have_is_refused(
    world: World, pipeline: Any
) -> None:
    change = {"pipeline_id": str(pipeline.pk), "streams": [{"stream": "b"}]}
    assert refused(world, "update_pipeline", **change) == (
        "streams.0.stream",
        "The source uploads has no stream b; it has a.",
    )


def test_a_change_to_another_source_without_the_stream_is_refused(
    world: World, pipeline: Any
) -> None:
    other = make_connector(world, name="other", kind="files", config={"path": "b.csv"})
    change = {"pipeline_id": str(pipeline.pk), "source_connector_id": str(other.pk)}
    assert refused(world, "update_pipeline", **change) == (
        "streams.0.stream",
        "The source other has no stream a; it has b.",
    )


def test_a_change_of_other_settings_asks_no_source(world: World, unreachable: Any) -> None:
    config = {
        "source": {"connector_id": str(unreachable.pk)},
        "streams": [{"stream": "public.orders"}],
        "destination": {"kind": "logger", "config": {}},
    }
    pipeline = make_pipeline(world, config=config)
    for change in ({"timeout_seconds": 60}, {"streams": [{"table": "others"}]}):
        assert warnings(world, "update_pipeline", pipeline_id=str(pipeline.pk), **change) == []
    (warning,) = warnings(
        world,
        "update_pipeline",
        pipeline_id=str(pipeline.pk),
        streams=[{"stream": "public.customers"}],
    )
    assert warning.startswith("The streams of the source away could not be checked")


def test_an_edit_of_a_proposal_is_checked_too(
    committed_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world()
    source = make_connector(world, name="uploads", kind="files", config={"path": "a.csv"})
    good = {"pipelines": [proposal(world, source, "a")]}
    use_script(monkeypatch, Step("", [("create_pipelines", good)]), Step("Done."))
    talk = begin(world, "copy a")
    talk.work()
    request = talk.open_request()["id"]
    edited = {"pipelines": [{**good["pipelines"][0], "streams": [{"stream": "orders"}]}]}
    answer = talk.decide(request, "edit", arguments=edited)
    assert answer.status_code == 422
    assert "it has a." in str(answer.json())
    assert talk.decide(request).status_code == 200
