"""What guided mode does with each kind of request: which tools it calls, and with which arguments."""

from __future__ import annotations

from pathlib import Path
from time import process_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.agent.guided import vocabulary
from apps.agent.guided.intents import undoing
from apps.agent.guided.reading import read_request
from apps.agent.guided.requests import ChangeState, ConnectSystem, Explain, MakeSource, Undo
from apps.pipelines.schedules.english import parse_words
from tests.agent.guided import talk
from tests.agent.guided.talk import OWN_KIND, Talk, new_id

SIX_HOURS = {"interval_seconds": 21_600, "timezone": "UTC"}
# request: (source, destination, streams, schedule, name of the only pipeline)
PROPOSALS: dict[str, tuple[int, int, list[str], Any]] = {
    "sync flights from postgres to parquet every 6 hours": (0, 0, [], None),
    "Sync flights from Flights database to Parquet files every 6 hours": (1, 4, ["flights"], SIX_HOURS),
    "Please copy the table flights from the flights database to parquet every 6 hours.": (1, 4, ["flights"], SIX_HOURS),
    "every 6 hours copy flights from Flights database into the warehouse": (1, 5, ["flights"], SIX_HOURS),
    "copy flights to parquet every 6 hours from Flights database": (1, 4, ["flights"], SIX_HOURS),
    "flights to parquet every 6 hours": (0, 0, [], None),
    "copy flights to parquet every 6 hours": (1, 4, ["flights"], SIX_HOURS),
    "I want to load weather into Warehouse every 6 hours": (2, 5, ["weather"], SIX_HOURS),
    "replicate Weather API to Warehouse every 6 hours": (2, 5, ["weather"], SIX_HOURS),
    "flights and airlines from Flights database to Parquet files every 6 hours": (1, 4, ["flights", "airlines"], SIX_HOURS),
    "copy flights, airlines and planes from Flights database to parquet every 6 hours": (
        1, 4, ["flights", "airlines", "planes"], SIX_HOURS),
    "copy the entire orders table from Shop database to Warehouse every 6 hours": (3, 5, ["orders"], SIX_HOURS),
    "copy the whole table weather to Warehouse every 6 hours": (2, 5, ["weather"], SIX_HOURS),
    "move order items from Shop to Warehouse every 6 hours": (3, 5, ["order_items"], SIX_HOURS),
    'export "orders" from "Shop database" to "Warehouse" every 6 hours': (3, 5, ["orders"], SIX_HOURS),
    "create a pipeline from Weather API to Parquet files every 6 hours": (2, 4, ["weather"], SIX_HOURS),
    "set up a pipeline for orders from Shop database to Warehouse every 6 hours": (3, 5, ["orders"], SIX_HOURS),
    "could you schedule weather from Weather API to Warehouse every 6 hours": (2, 5, ["weather"], SIX_HOURS),
    "copy weather from Weather API to Warehouse weekdays at 7:30 in Berlin": (
        2, 5, ["weather"], {"cron": "30 7 * * 1-5", "timezone": "Europe/Berlin"}),
    "copy weather from Weather API to Warehouse daily at 6": (
        2, 5, ["weather"], {"cron": "0 6 * * *", "timezone": "UTC"}),
    "copy weather from Weather API to Warehouse every monday": (
        2, 5, ["weather"], {"cron": "0 0 * * 1", "timezone": "UTC"}),
    "copy weather from Weather API to Warehouse hourly": (
        2, 5, ["weather"], {"interval_seconds": 3_600, "timezone": "UTC"}),
    "copy weather from Weather API to Warehouse cron */5 8-18 * * 1-5": (
        2, 5, ["weather"], {"cron": "*/5 8-18 * * 1-5", "timezone": "UTC"}),
    "copy weather from Weather API to Warehouse by hand": (2, 5, ["weather"], None),
}  # fmt: skip
COMPLETE_PROPOSALS = {text: expected for text, expected in PROPOSALS.items() if expected[0]}


@pytest.mark.parametrize("text", COMPLETE_PROPOSALS)
def test_a_complete_request_becomes_a_proposal_without_questions(text: str) -> None:
    source, destination, streams, schedule = COMPLETE_PROPOSALS[text]
    talk = Talk().ask(text)
    assert talk.asked == []
    tool, arguments = talk.last
    assert tool == "create_pipelines", (talk.calls, talk.said)
    (proposal,) = arguments["pipelines"]
    assert [stream["stream"] for stream in proposal["streams"]] == streams
    assert proposal["source_connector_id"] == new_id(source)
    assert proposal["destination_connector_id"] == new_id(destination)
    assert proposal["schedule"] == schedule
    assert talk.said.startswith("Created ")


# request: (source, destination, patterns)
WHOLE = {
    "copy the whole flights database to Parquet files every 6 hours": (1, 4, ["*"]),
    "copy the entire Shop database to the warehouse daily at 6": (3, 5, ["*"]),
    "copy the entire database from Shop database to the warehouse daily at 6": (3, 5, ["*"]),
    "copy everything from Shop database to Warehouse by hand": (3, 5, ["*"]),
    "copy all tables from the shop database to the warehouse every 6 hours": (3, 5, ["*"]),
    "copy every table from Shop database to Warehouse every 6 hours": (3, 5, ["*"]),
    "replicate all tables of the flights database into Warehouse hourly": (1, 5, ["*"]),
    "copy public.* from Shop database to Warehouse hourly": (3, 5, ["public.*"]),
    "copy public.* and sales.ord*, !*_tmp from Shop database to Warehouse hourly": (
        3, 5, ["public.*", "sales.ord*", "!*_tmp"]),
    "copy all tables except planes and *_tmp from Shop database to Warehouse hourly": (
        3, 5, ["*", "!public.planes", "!*_tmp"]),
    "copy the whole shop database to Warehouse without order_items hourly": (
        3, 5, ["*", "!public.order_items"]),
    "copy everything from Weather API to Warehouse except weather hourly": (2, 5, ["*", "!weather"]),
}  # fmt: skip


@pytest.mark.parametrize("text", WHOLE)
def test_a_whole_database_is_proposed_as_one_pipeline_with_patterns(text: str) -> None:
    source, destination, patterns = WHOLE[text]
    talk = Talk().ask(text)
    assert talk.asked == []
    (proposal,) = talk.last[1]["pipelines"]
    assert proposal["patterns"] == {"match": patterns}
    assert proposal["streams"] == []
    assert proposal["source_connector_id"] == new_id(source)
    assert proposal["destination_connector_id"] == new_id(destination)


def test_a_whole_database_is_read_incrementally_by_a_column_that_its_streams_have() -> None:
    text = "copy the whole Shop database to Warehouse incrementally with merge by hand"
    talk = Talk().ask(text, "updated_at")
    assert talk.asked[0]["choices"] == ["created_at", "updated_at"]
    assert talk.last[1]["pipelines"][0]["patterns"] == {
        "match": ["*"],
        "write_mode": "merge",
        "sync_mode": "incremental",
        "cursor_field": "updated_at",
    }


def test_named_streams_and_patterns_are_proposed_together() -> None:
    talk = Talk().ask("copy orders and public.log_* from Shop database to Warehouse by hand")
    (proposal,) = talk.last[1]["pipelines"]
    assert proposal["streams"] == [{"stream": "orders"}]
    assert proposal["patterns"] == {"match": ["public.log_*"]}


SEPARATE = (
    "copy flights and planes from Flights database to Parquet files hourly in separate pipelines",
    "copy flights and planes in separate pipelines from Flights database to Parquet files hourly",
)


@pytest.mark.parametrize("text", SEPARATE)
def test_separate_pipelines_are_proposed_if_they_are_asked_for(text: str) -> None:
    talk = Talk().ask(text)
    pipelines = talk.last[1]["pipelines"]
    assert [p["streams"] for p in pipelines] == [[{"stream": "flights"}], [{"stream": "planes"}]]
    assert [p["name"] for p in pipelines] == ["Flights to Parquet files", "Planes to Parquet files"]


# request: (answers to the questions, choices of the questions, expected streams, source, destination)
QUESTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...], str, int, int]] = {
    "sync flights from postgres to parquet every 6 hours": (
        ("Flights database",), ("Flights database",), "flights", 1, 4),
    "copy planes to parquet every 6 hours": (("shop",), ("Shop database",), "planes", 3, 4),
    "copy flights from Flights database every 6 hours": (("2",), ("Warehouse",), "flights", 1, 5),
    "copy flights from Flights database to S3 every 6 hours": (("parquet files",), ("Warehouse",), "flights", 1, 4),
    "copy from Shop database to Warehouse every 6 hours": (("orders",), ("order_items",), "orders", 3, 5),
    "copy customers from Shop database to Warehouse every 6 hours": (("orders",), ("planes",), "orders", 3, 5),
    "copy flights from Flights database to Parquet files": (
        ("daily at 6",), ("Every hour", "By hand"), "flights", 1, 4),
    "copy flights from Flights database to Parquet files every 5 seconds": (
        ("hourly",), ("Every hour",), "flights", 1, 4),
    "copy flights from Flights database to Parquet files every blue moon": (
        ("what?", "hourly"), ("Every hour",), "flights", 1, 4),
}  # fmt: skip


@pytest.mark.parametrize("text", QUESTIONS)
def test_what_is_missing_or_unclear_is_asked_with_choices(text: str) -> None:
    replies, choices, stream, source, destination = QUESTIONS[text]
    talk = Talk().ask(text, *replies)
    assert len(talk.asked) == len(replies)
    assert set(choices) <= set(talk.asked[0]["choices"])
    tool, arguments = talk.last
    assert tool == "create_pipelines", (talk.calls, talk.said)
    (proposal,) = arguments["pipelines"]
    assert proposal["streams"][0]["stream"] == stream
    assert proposal["source_connector_id"] == new_id(source)
    assert proposal["destination_connector_id"] == new_id(destination)


def test_a_source_that_could_not_be_searched_at_once_is_searched_again() -> None:
    talk = Talk(busy_source=new_id(3))
    talk.ask("copy planes to Parquet files every 6 hours", "shop")
    assert talk.busy_source == "", "the call was refused"
    assert talk.asked[0]["choices"] == ["Flights database", "Shop database"]


def test_modes_tables_and_names_are_read() -> None:
    text = (
        "copy orders from Shop database to Warehouse as shop_orders incrementally with merge called Shop orders"
        " every 6 hours"
    )
    talk = Talk().ask(text, "updated_at")
    (proposal,) = talk.last[1]["pipelines"]
    assert proposal["name"] == "Shop orders"
    assert proposal["streams"] == [
        {
            "stream": "orders",
            "table": "shop_orders",
            "write_mode": "merge",
            "sync_mode": "incremental",
            "cursor_field": "updated_at",
            "primary_key": ["id"],
        }
    ]
    assert talk.asked[0]["choices"] == ["created_at", "updated_at"]


def test_a_name_that_exists_gets_a_number() -> None:
    talk = Talk()
    talk.ask("copy flights from Flights database to Parquet files every 6 hours")
    assert talk.last[1]["pipelines"][0]["name"] == "Flights to Parquet files"
    talk.ask("create a pipeline called flights to parquet from Weather API to Warehouse by hand")
    assert talk.last[0] == "create_pipelines"


ON_FLIGHTS = {"pipeline_id": new_id(11)}
ON_WEATHER = {"pipeline_id": new_id(12)}
ON_ORDERS = {"pipeline_id": new_id(13)}
DOCUMENTATION = Path(__file__).parents[3] / "docs" / "howto" / "agent.md"


def test_the_documented_schedules_are_understood() -> None:
    _, table = DOCUMENTATION.read_text().split("### Schedules")
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| ")][1:]
    phrases = [phrase.strip() for row in rows for phrase in row.split(",")]
    assert len(phrases) > 15
    for phrase in phrases:
        parse_words(phrase)


EACH_HOUR = {"interval_seconds": 3_600, "timezone": "UTC"}
DAILY = {"cron": "0 6 * * *", "timezone": "UTC"}
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "list pipelines": ("list_pipelines", {"search": ""}),
    "Which pipelines are there?": ("list_pipelines", {"search": ""}),
    "show me all pipelines": ("list_pipelines", {"search": ""}),
    "which pipelines failed?": ("list_pipelines", {"search": ""}),
    "list runs": ("list_runs", {"limit": 10}),
    "show failed runs": ("list_runs", {"status": "failed"}),
    "what is running?": ("list_runs", {"status": "running"}),
    "what failed?": ("list_runs", {"status": "failed"}),
    "list runs of weather": ("list_runs", ON_WEATHER),
    "list connectors": ("list_connectors", {"search": ""}),
    "which sources do I have?": ("list_connectors", {"role": "source"}),
    "list destinations": ("list_connectors", {"role": "destination"}),
    "list streams of Weather API": ("list_streams", {"connector_id": new_id(2)}),
    "what tables does Shop database have?": ("list_streams", {"connector_id": new_id(3)}),
    "run Flights to Parquet": ("run_pipeline", ON_FLIGHTS),
    "start the pipeline flights now": ("run_pipeline", ON_FLIGHTS),
    "please run weather": ("run_pipeline", ON_WEATHER),
    "run Orders hourly": ("update_pipeline", {**ON_ORDERS, "schedule": EACH_HOUR}),
    'run "Orders hourly"': ("run_pipeline", {**ON_ORDERS, "force": True}),
    "cancel flights": ("cancel_run", {"run_id": new_id(21)}),
    "stop the run of flights": ("cancel_run", {"run_id": new_id(21)}),
    "retry weather": ("retry_run", {"run_id": new_id(23)}),
    "try again weather": ("retry_run", {"run_id": new_id(23)}),
    "enable orders": ("set_pipeline_enabled", {**ON_ORDERS, "enabled": True}),
    "turn on orders": ("set_pipeline_enabled", {**ON_ORDERS, "enabled": True}),
    "disable flights": ("set_pipeline_enabled", {**ON_FLIGHTS, "enabled": False}),
    "pause the flights pipeline": ("set_pipeline_enabled", {**ON_FLIGHTS, "enabled": False}),
    "turn flights off": ("set_pipeline_enabled", {**ON_FLIGHTS, "enabled": False}),
    "delete the weather pipeline": ("delete_pipeline", ON_WEATHER),
    "delete the source Weather API": ("delete_connector", {"connector_id": new_id(2)}),
    "please remove my Shop database connector": ("delete_connector", {"connector_id": new_id(3)}),
    "rename flights to arrivals": ("update_pipeline", {**ON_FLIGHTS, "name": "arrivals"}),
    "can you rename the pipeline weather to daily weather?": (
        "update_pipeline", {**ON_WEATHER, "name": "daily weather"}),
    "change the name of orders to Orders, every hour": (
        "update_pipeline", {**ON_ORDERS, "name": "Orders, every hour"}),
    'rename flights to "to the runs"': ("update_pipeline", {**ON_FLIGHTS, "name": "to the runs"}),
    "show flights": ("show_pipeline", ON_FLIGHTS),
    "show me the pipeline weather": ("show_pipeline", ON_WEATHER),
    "when does flights run next?": ("show_pipeline", ON_FLIGHTS),
    "how is weather doing?": ("show_pipeline", ON_WEATHER),
    "change the schedule of flights to daily at 6": ("update_pipeline", {**ON_FLIGHTS, "schedule": DAILY}),
    "run flights every 6 hours": ("update_pipeline", {**ON_FLIGHTS, "schedule": SIX_HOURS}),
    "schedule weather daily at 6": ("update_pipeline", {**ON_WEATHER, "schedule": DAILY}),
    "set flights to run daily at 6": ("update_pipeline", {**ON_FLIGHTS, "schedule": DAILY}),
    "make flights run every 6 hours": ("update_pipeline", {**ON_FLIGHTS, "schedule": SIX_HOURS}),
    "set the schedule of flights to by hand": ("update_pipeline", {**ON_FLIGHTS, "schedule": None}),
    "remove the schedule of flights": ("update_pipeline", {**ON_FLIGHTS, "schedule": None}),
    "unschedule flights": ("update_pipeline", {**ON_FLIGHTS, "schedule": None}),
    "add airlines to flights": ("update_pipeline", {**ON_FLIGHTS, "add_streams": [{"stream": "airlines"}]}),
    "add table planes and airlines to the pipeline flights": (
        "update_pipeline", {**ON_FLIGHTS, "add_streams": [{"stream": "planes"}, {"stream": "airlines"}]}),
    "add public.log_* to flights": ("update_pipeline", {**ON_FLIGHTS, "patterns": {"match": ["public.log_*"]}}),
    "stop copying planes in flights": ("update_pipeline", {**ON_FLIGHTS, "remove_streams": ["planes"]}),
    "stop copying the table planes from Flights to Parquet": (
        "update_pipeline", {**ON_FLIGHTS, "remove_streams": ["planes"]}),
    "remove planes from flights": ("update_pipeline", {**ON_FLIGHTS, "remove_streams": ["planes"]}),
    "exclude *_tmp from weather": ("update_pipeline", {**ON_WEATHER, "patterns": {"match": ["*", "!*_tmp"]}}),
    "hash the email column of planes in flights": (
        "update_pipeline",
        {**ON_FLIGHTS, "streams": [{"stream": "planes", "fields": [{"field": "email", "protect": "hash"}]}]}),
    "redact email and phone of planes in the pipeline flights": (
        "update_pipeline",
        {**ON_FLIGHTS, "streams": [{"stream": "planes", "fields": [
            {"field": "email", "protect": "redact"}, {"field": "phone", "protect": "redact"}]}]}),
    "drop the column note of logs in weather": (
        "update_pipeline",
        {**ON_WEATHER, "streams": [{"stream": "public.logs", "fields": [{"field": "note", "drop": True}]}]}),
    "backfill planes in flights from 2026-01-01 to 2026-02-01": (
        "backfill_streams", {**ON_FLIGHTS, "streams": ["planes"], "start": "2026-01-01", "end": "2026-02-01"}),
    "backfill flights of flights since 1000": ("backfill_streams", {**ON_FLIGHTS, "streams": ["flights"], "start": "1000"}),
    "what has changed at the source of flights?": ("show_pipeline", {**ON_FLIGHTS, "part": "source_changes"}),
    "list the changes of weather": ("show_pipeline", {**ON_WEATHER, "part": "source_changes"}),
    "accept the changes of flights": (
        "decide_source_changes", {**ON_FLIGHTS, "change_ids": [new_id(70)], "decision": "accept"}),
    "ignore the changes at the source of flights": (
        "decide_source_changes", {**ON_FLIGHTS, "change_ids": [new_id(70)], "decision": "ignore"}),
    "stop syncing logs in weather": ("update_pipeline", {**ON_WEATHER, "remove_streams": ["public.logs"]}),
}  # fmt: skip


@pytest.mark.parametrize("text", CALLS)
def test_a_request_calls_its_tool(text: str) -> None:
    expected_tool, expected = CALLS[text]
    talk = Talk().ask(text)
    tool, arguments = talk.last
    assert talk.asked == []
    assert tool == expected_tool, (talk.calls, talk.said)
    assert {name: arguments[name] for name in expected} == expected
    assert talk.said


UNDO_REQUESTS = [
    "undo", "undo it", "undo the last change", "Please revert that.", "roll back", "change it back", "put it back",
    "can you undo this?",
]  # fmt: skip


@pytest.mark.parametrize("text", UNDO_REQUESTS)
def test_an_undo_is_read(text: str) -> None:
    assert read_request(text) == Undo()


def test_a_name_with_back_is_no_undo() -> None:
    assert read_request("change the schedule of play back to daily at 6") != Undo()
    assert read_request("turn on Feed back") == ChangeState("enable", "Feed back")


CONNECTIONS = {
    "connect postgres": ConnectSystem("postgres", "source"),
    "add a postgres destination": ConnectSystem("postgres", "destination"),
    "add a connector": ConnectSystem("", "source"),
}


@pytest.mark.parametrize("text", CONNECTIONS)
def test_a_system_is_connected_with_a_form(text: str) -> None:
    request = CONNECTIONS[text]
    assert read_request(text) == request
    talk = Talk().ask(text, "postgres")
    assert talk.last == ("request_connector", {"kind": "postgres", "role": request.role})
    assert f"The {request.role} New is saved." in talk.said


EXPLANATIONS = {
    "why is flights late?": "flights",
    "Why is the pipeline Weather to the warehouse failing?": "Weather to the warehouse",
    "why did weather fail": "weather",
    "why is weather empty?": "weather",
    "why is flights waiting": "flights",
    "explain weather": "weather",
    "what is wrong with weather?": "weather",
    "what happened to flights?": "flights",
    "fix weather": "weather",
    'why does "Orders hourly" not run?': "Orders hourly",
    "why did it fail?": "",
    "explain this run": "",
    "fix it": "",
}


@pytest.mark.parametrize("text", EXPLANATIONS)
def test_questions_about_reasons_name_a_pipeline_or_the_page(text: str) -> None:
    is_fix = text.startswith("fix")
    assert read_request(text) == Explain(EXPLANATIONS[text], wants_change=is_fix)


def test_a_fix_without_a_known_change_says_so() -> None:
    said = Talk().ask("fix flights").said
    assert "The last run took too long." in said
    assert "I know no change of the settings that would help." in said


def test_a_fix_after_an_explanation_does_not_repeat_the_facts() -> None:
    talk = Talk().ask("why is flights late?")
    assert "The last run took too long." in talk.said
    talk.ask("fix it")
    assert "The last run took too long." not in talk.said
    assert "Nothing about Flights to Parquet has changed since I explained it above." in talk.said
    assert "I know no change of the settings that would help." in talk.said


@pytest.mark.parametrize("word", ["away", "over", "across", "directly"])
def test_a_filler_word_names_no_connector(word: str) -> None:
    request = read_request(f"send flights {word} to parquet")
    assert request == read_request("send flights to parquet")


def test_a_paused_schedule_is_resumed_with_enable(monkeypatch: pytest.MonkeyPatch) -> None:
    paused = {**talk._detail(new_id(11)), "schedule": {"paused_at": "2026-01-01T00:00:00Z"}}
    monkeypatch.setattr(talk, "_detail", lambda pipeline_id: paused)
    said = Talk().ask("resume flights")
    assert said.last == ("set_schedule_paused", {**ON_FLIGHTS, "paused": False})
    assert said.said == "The schedule of Flights to Parquet is resumed."


def test_an_explanation_has_links_and_proposes_the_change_that_helps() -> None:
    talk = Talk().ask("why is flights late?")
    assert talk.last == ("explain_pipeline", ON_FLIGHTS)
    assert f"- The last run took too long. ([open](/runs/{new_id(23)}))" in talk.said
    talk = Talk().ask("explain this run", page=f"/runs/{new_id(23)}")
    assert talk.last == ("update_pipeline", {**ON_WEATHER, "timeout_seconds": 7200})
    assert talk.said == "The settings of Weather to the warehouse are changed."


def test_the_page_is_what_it_means() -> None:
    talk = Talk().ask("retry it", page=f"/runs/{new_id(23)}")
    assert talk.last == ("retry_run", {"run_id": new_id(23)})
    talk = Talk().ask("run it", page=f"/pipelines/{new_id(11)}")
    assert talk.last == ("run_pipeline", ON_FLIGHTS)
    talk = Talk().ask("disable this pipeline", page=f"/runs/{new_id(23)}")
    assert talk.last == ("set_pipeline_enabled", {**ON_WEATHER, "enabled": False})


def test_it_is_the_pipeline_of_the_turn_before() -> None:
    talk = Talk().ask("copy flights from Flights database to Parquet files by hand")
    talk.ask("run it")
    assert talk.last == ("run_pipeline", {"pipeline_id": new_id(40)})


def test_it_is_the_pipeline_of_the_request_before_until_another_page_is_opened() -> None:
    talk = Talk().ask("enable Orders hourly", page=f"/pipelines/{new_id(11)}")
    assert talk.ask("run it", page=f"/pipelines/{new_id(11)}").last[1]["pipeline_id"] == new_id(13)
    this = talk.ask("disable this pipeline", page=f"/pipelines/{new_id(11)}")
    assert this.last[1]["pipeline_id"] == new_id(11)
    talk.ask("enable Orders hourly", page=f"/pipelines/{new_id(11)}")
    assert talk.ask("run it", page=f"/pipelines/{new_id(12)}").last[1]["pipeline_id"] == new_id(12)


def test_a_custom_source_is_connected_by_its_name() -> None:
    for text in ("connect Bike shop API", "connect to the bike shop"):
        talk = Talk().ask(text)
        assert talk.last == ("request_connector", {"kind": OWN_KIND, "role": "source"})
    assert Talk().ask("connect My shop").last[1]["kind"] == f"custom-{new_id(61)}"
    assert Talk().ask("connect our own API").last[1]["kind"] == "rest"


def test_without_a_page_it_is_asked_which_pipeline() -> None:
    talk = Talk().ask("run it", "weather")
    assert talk.asked[0]["choices"][1] == "Weather to the warehouse"
    assert talk.last == ("run_pipeline", ON_WEATHER)


@pytest.mark.parametrize(
    ("text", "tool"),
    [
        ("delete Broken flights", "delete_pipeline"),
        ("run the Broken flights", "run_pipeline"),
        ("disable broken flights please", "set_pipeline_enabled"),
    ],
)
def test_a_name_with_a_word_of_requests_means_the_pipeline_of_exactly_this_name(
    text: str, tool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = talk.pipeline(14, "Broken flights", "flight")
    monkeypatch.setattr(talk, "PIPELINES", [*talk.PIPELINES, broken])
    called, arguments = Talk().ask(text).last
    assert (called, arguments["pipeline_id"]) == (tool, new_id(14))


def test_it_is_asked_which_pipeline_if_a_word_may_be_part_of_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    named = [talk.pipeline(14, "Flights", "flights"), talk.pipeline(15, "Broken flights", "flight")]
    monkeypatch.setattr(talk, "PIPELINES", named)
    asking = Talk().ask("delete broken flights", "Broken flights")
    assert asking.asked[0]["choices"] == ["Flights", "Broken flights"]
    assert asking.last[1]["pipeline_id"] == new_id(15)


def test_a_state_that_is_already_there_is_not_proposed() -> None:
    assert Talk().ask("enable flights").said == "Flights to Parquet is already enabled."
    assert "no run in progress" in Talk().ask("cancel weather").said
    assert "no failed or cancelled run" in Talk().ask("retry orders").said


def test_a_rejected_proposal_changes_nothing() -> None:
    talk = Talk(rejects=True).ask("disable flights")
    assert talk.said == "You rejected it (not now). Nothing was changed."


def test_giving_up_on_a_question_changes_nothing() -> None:
    talk = Talk().ask("run it", "never mind")
    assert talk.said == "All right. Nothing was changed."
    assert "run_pipeline" not in talk.tools


def test_another_request_may_answer_a_question() -> None:
    talk = Talk().ask("run it", "list connectors")
    assert talk.last[0] == "list_connectors"
    assert "Warehouse" in talk.said


def test_the_first_answer_says_that_it_is_not_a_language_model() -> None:
    talk = Talk().ask("hello")
    assert "not a language model" in talk.said
    talk.ask("make me a sandwich with cheese")
    assert talk.said.startswith("I do not understand that.")
    assert "not a language model" not in talk.said


SOURCES = {
    "make a source from https://api.example.com/openapi.json": "https://api.example.com/openapi.json",
    "build a connector from this API: https://api.example.com/docs.": "https://api.example.com/docs",
    "create a source from an OpenAPI document": "",
    "import my Postman collection": "",
    "Make a source from the API documentation that I have added.": "",
}


@pytest.mark.parametrize("text", SOURCES)
def test_a_source_from_an_api_document_is_for_the_source_builder(text: str) -> None:
    assert read_request(text) == MakeSource(SOURCES[text])


def test_a_source_is_made_in_four_approved_steps() -> None:
    pytest.importorskip("apps.agent.tools.save_source_version.tool")
    talk = Talk().ask("make a source from https://api.example.com/openapi.json")
    assert talk.tools == [
        "start_source_builder",
        "fetch_documentation",
        "propose_source_plan",
        "preview_source",
        "save_source_version",
    ]
    assert talk.last[1]["name"] == "Shop API"
    assert "Saved Shop API with the streams orders." in talk.said


AGAIN, SAVE = "Preview again, for example with other settings", "Save it all the same"
MAKE_SOURCE = "make a source from https://api.example.com/openapi.json"


def test_a_failed_preview_can_be_tried_again() -> None:
    talk = Talk(failing_previews=2).ask(MAKE_SOURCE, AGAIN, "1")
    assert talk.tools.count("preview_source") == 3
    assert talk.asked[0]["question"] == "The preview failed. What do you want to do?"
    assert talk.last[0] == "save_source_version"


def test_a_source_can_be_saved_after_a_failed_preview_but_not_without_an_answer() -> None:
    assert Talk(failing_previews=9).ask(MAKE_SOURCE, SAVE).last[0] == "save_source_version"
    talk = Talk(failing_previews=9).ask(MAKE_SOURCE, AGAIN, AGAIN)
    assert "save_source_version" not in talk.tools
    assert "Nothing was saved" in talk.said
    assert "save_source_version" not in Talk(failing_previews=9).ask(MAKE_SOURCE, "stop").tools


def test_try_again_as_the_answer_to_a_failed_preview_previews_again() -> None:
    talk = Talk(failing_previews=1).ask(MAKE_SOURCE, "try again")
    assert talk.tools.count("preview_source") == 2
    assert talk.last[0] == "save_source_version"


@pytest.mark.parametrize("text", ["try again", "Please try again.", "retry"])
def test_try_again_in_the_source_builder_makes_the_source_again(text: str) -> None:
    talk = Talk(rejects=True).ask(MAKE_SOURCE)
    talk.graph, talk.rejects = "source_builder", False
    talk.ask(text)
    assert talk.tools[:3] == ["start_source_builder", "fetch_documentation", "fetch_documentation"]
    assert talk.calls[1] == talk.calls[2]
    assert talk.last[0] == "save_source_version"
    assert "leave_source_builder" not in talk.tools


def test_try_again_with_the_name_of_a_pipeline_leaves_the_source_builder() -> None:
    talk = Talk()
    talk.graph = "source_builder"
    talk.ask("try weather again")
    assert talk.tools[0] == "leave_source_builder"
    assert talk.last[0] == "retry_run"


def test_a_page_without_a_plan_is_handed_back() -> None:
    pytest.importorskip("apps.agent.tools.save_source_version.tool")
    talk = Talk().ask("make a source from https://api.example.com/docs")
    assert talk.tools == ["start_source_builder", "fetch_documentation"]
    assert "needs a language model" in talk.said


def test_a_request_for_something_else_leaves_the_source_builder_first() -> None:
    talk = Talk()
    talk.graph = "source_builder"
    talk.ask("list pipelines")
    assert talk.tools == ["leave_source_builder", "list_pipelines"]


WORDS = sorted(
    {
        *vocabulary.MAKE,
        *vocabulary.LIST,
        *vocabulary.EXPLAIN,
        *vocabulary.NOUNS,
        "from",
        "to",
        "every",
        "6",
        "hours",
        "at",
    }
)


@settings(max_examples=300)
@given(
    st.one_of(st.text(max_size=200), st.lists(st.sampled_from(WORDS), max_size=15).map(" ".join))
)
def test_any_text_is_read(text: str) -> None:
    read_request(text)


@pytest.mark.parametrize(
    "part", ["a", "every ", "1 ", "from to ", "(", '"', "/", "at 6 and ", "https://", "monday,"]
)
def test_a_text_that_is_ten_times_as_long_needs_about_ten_times_the_work(part: str) -> None:
    """Work that grows with the square of the length would be a hundred times as much."""
    assert work_of_reading(part, 20_000) < 40 * work_of_reading(part, 2_000)


def work_of_reading(part: str, length: int) -> float:
    """Return the least CPU time of three readings, and at least a few milliseconds, which are noise."""
    text = (part * length)[:length]
    times = []
    for _ in range(3):
        began = process_time()
        read_request(text)
        times.append(process_time() - began)
    return max(min(times), 0.002)


def test_a_list_names_a_custom_source_without_its_id(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {**talk.PIPELINES[0], "source_kind": talk.OWN_KIND}
    monkeypatch.setattr(talk, "PIPELINES", [own])
    shown = Talk().ask("list pipelines").said
    assert "flights from custom source to parquet" in shown
    assert "custom-" not in shown


TUESDAYS = [{"weekdays": ["tuesday"], "start": "00:00", "end": "00:00"}]


@pytest.mark.parametrize(
    ("before", "schedule"),
    [
        ({"blackouts": TUESDAYS, "misfire": "skip"}, {"blackouts": TUESDAYS, "misfire": "skip"}),
        ({"blackouts": []}, {"blackouts": []}),
        ({"jitter_seconds": 0}, {"jitter_seconds": 0}),
        ({"cron": None, "interval_seconds": 3600}, {"interval_seconds": 3600}),
        # There was no schedule.
        ({"cron": None, "timezone": None, "overlap": None, "blackouts": []}, None),
    ],
)
def test_the_values_of_a_schedule_before_a_change_are_proposed_again(
    before: dict[str, Any], schedule: dict[str, Any] | None
) -> None:
    changed = {f"schedule.{name}": value for name, value in before.items()}
    assert undoing._arguments(changed) == {"schedule": schedule}


def test_a_last_day_that_a_change_has_set_cannot_be_undone() -> None:
    assert undoing._arguments({"schedule.end_date": None}) is None
