"""Other words for the requests of guided mode, as people say them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from apps.agent.guided.reading import read_request
from apps.agent.guided.requests import (
    AddStreams,
    ChangeSchedule,
    ChangeState,
    ConnectSystem,
    Consent,
    DeleteConnector,
    Explain,
    ListObjects,
    MakePipelines,
    MakeSource,
    NotUnderstood,
    Rename,
    Request,
    ShowPipeline,
    Thanks,
)
from apps.pipelines.schedules.english import ScheduleWords, parse_words
from tests.agent.guided.talk import Talk, new_id

FRONTEND = Path(__file__).parents[3] / "frontend"
URL = "https://api.example.com/openapi.json"
ANY = ScheduleWords(0, 0)


def make(streams: str, source: str, destination: str, **fields: Any) -> MakePipelines:
    names = tuple(streams.split())
    return MakePipelines(names, source=source, destination=destination, schedule=ANY, **fields)


# message: (request without its schedule, the schedule in words or None)
SAID: dict[str, tuple[Request, str | None]] = {
    "sync flights from postgres to parquet every 6 hours": (
        make("flights", "postgres", "parquet"), "every 6 hours"),
    "sync the flights table from my flights database into the warehouse every night at 2": (
        make("flights", "flights database", "warehouse"), "daily at 2"),
    "can you load weather into Warehouse daily at 6am": (make("weather", "", "Warehouse"), "daily at 6"),
    "replicate all tables of Shop database to Warehouse every night": (
        make("", "Shop database", "Warehouse", all_streams=True), "nightly"),
    "copy every table from Flights database to Parquet files weekly": (
        make("", "Flights database", "Parquet files", all_streams=True), "weekly"),
    "set up a daily sync of airlines from Flights database to Parquet files": (
        make("airlines", "Flights database", "Parquet files"), "every day"),
    "schedule a copy of flights from Flights database to Warehouse at midnight": (
        make("flights", "Flights database", "Warehouse"), "daily at 0:00"),
    "create pipeline for flights from Flights database to Warehouse every hour": (
        make("flights", "Flights database", "Warehouse"), "hourly"),
    "please move orders and order_items from Shop database to Warehouse every 2 hours": (
        make("orders order_items", "Shop database", "Warehouse"), "every 2 hours"),
    "flights from Flights database to Warehouse every hour": (
        make("flights", "Flights database", "Warehouse"), "hourly"),
    "get weather into Warehouse hourly": (make("weather", "", "Warehouse"), "hourly"),
    "back up orders to Parquet files daily": (make("orders", "", "Parquet files"), "every day"),
    "backup orders to Parquet files daily": (make("orders", "", "Parquet files"), "every day"),
    "add stream airlines to flights": (AddStreams(("airlines",), "flights"), None),
    "add planes and airlines to the flights pipeline": (AddStreams(("planes", "airlines"), "flights"), None),
    "add the airlines table to Flights to Parquet": (AddStreams(("airlines",), "Flights to Parquet"), None),
    "include airlines in flights": (AddStreams(("airlines",), "flights"), None),
    "change schedule to weekdays at 7": (ChangeSchedule("", ANY), "weekdays at 7"),
    "change flights to weekdays at 7": (ChangeSchedule("flights", ANY), "weekdays at 7"),
    "make it hourly": (ChangeSchedule("", ANY), "hourly"),
    "change its schedule to daily at 6": (ChangeSchedule("", ANY), "daily at 6"),
    "set schedule daily at 6": (ChangeSchedule("", ANY), "daily at 6"),
    "make weather run every day at noon": (ChangeSchedule("weather", ANY), "daily at noon"),
    "reschedule flights to every monday at 9": (ChangeSchedule("flights", ANY), "every monday at 9"),
    "flights should run every 2 hours": (ChangeSchedule("flights", ANY), "every 2 hours"),
    "flights every 2 hours": (ChangeSchedule("flights", ANY), "every 2 hours"),
    "stop scheduling flights": (ChangeSchedule("flights", ANY), "by hand"),
    "run it now": (ChangeState("run"), None),
    "kick off flights": (ChangeState("run", "flights"), None),
    "run weather once": (ChangeState("run", "weather"), None),
    "trigger a run of weather": (ChangeState("run", "weather"), None),
    "cancel it": (ChangeState("cancel"), None),
    "kill the running flights run": (ChangeState("cancel", "flights"), None),
    "abort the flights run": (ChangeState("cancel", "flights"), None),
    "turn it on": (ChangeState("enable"), None),
    "switch the orders pipeline on": (ChangeState("enable", "orders"), None),
    "get rid of weather": (ChangeState("delete", "weather"), None),
    "get rid of the destination Warehouse": (DeleteConnector("Warehouse", "destination"), None),
    "delete the postgres connection": (DeleteConnector("postgres connection"), None),
    "rename it to arrivals": (Rename("", "arrivals"), None),
    "rename this pipeline to arrivals": (Rename("", "arrivals"), None),
    "rename flights": (Rename("flights"), None),
    "rename copy_to_files to files": (Rename("copy_to_files", "files"), None),
    'rename "from here to there" as here': (Rename("from here to there", "here"), None),
    "rename openapi orders to orders": (Rename("openapi orders", "orders"), None),
    "rename the connector Shop to Store": (Rename("Shop", "Store", "connector"), None),
    "set the name of flights to arrivals": (Rename("flights", "arrivals"), None),
    "try weather again": (ChangeState("retry", "weather"), None),
    "rerun the last failed run of weather": (ChangeState("retry", "weather"), None),
    "anything failing?": (ListObjects("runs", status="failed"), None),
    "history of flights": (ListObjects("runs", of="flights"), None),
    "what pipelines do I have": (ListObjects("pipelines"), None),
    "which tables can I sync from Shop database": (ListObjects("streams", of="Shop database"), None),
    "what's the status of weather": (ShowPipeline("weather"), None),
    "is flights enabled?": (ShowPipeline("flights"), None),
    "when did flights last run": (ShowPipeline("flights"), None),
    "why did weather fail last night?": (Explain("weather"), None),
    "why hasn't flights run today": (Explain("flights"), None),
    "why is flights stuck in the queue": (Explain("flights"), None),
    "weather is failing, why?": (Explain("weather"), None),
    "weather failed": (Explain("weather"), None),
    "what went wrong with weather?": (Explain("weather"), None),
    "repair it": (Explain("", wants_change=True), None),
    "can you fix the weather pipeline": (Explain("weather", wants_change=True), None),
    "connect to postgres": (ConnectSystem("postgres", "source"), None),
    "add new destination parquet": (ConnectSystem("parquet", "destination"), None),
    f"make a source from an OpenAPI document {URL}": (MakeSource(URL), None),
    f"turn {URL} into a source": (MakeSource(URL), None),
    f"here is my openapi file: {URL}": (MakeSource(URL), None),
    "thank you!": (Thanks(), None),
    "Yes, go ahead.": (Consent(), None),
    "I approve it.": (Consent(), None),
}  # fmt: skip


@pytest.mark.parametrize("text", SAID)
def test_a_request_in_other_words_is_read(text: str) -> None:
    expected, schedule = SAID[text]
    request = read_request(text)
    if isinstance(request, MakePipelines | ChangeSchedule):
        assert request.schedule is not None
        assert schedule is not None
        assert request.schedule.plan == parse_words(schedule)
        request = replace(request, schedule=ANY)
    assert request == expected


def test_a_new_pipeline_is_enabled_run_and_changed_without_its_name() -> None:
    talk = Talk().ask("copy flights from Flights database to Parquet files by hand")
    created = {"pipeline_id": new_id(40)}
    assert talk.ask("enable it").said == "New is already enabled."
    assert talk.ask("run it").last == ("run_pipeline", created)
    tool, arguments = talk.ask("change schedule to weekdays at 7").last
    assert (tool, arguments["pipeline_id"]) == ("update_pipeline", new_id(40))
    assert arguments["schedule"] == {"cron": "0 7 * * 1-5", "timezone": "UTC"}
    assert talk.ask("cancel it").last == ("cancel_run", {"run_id": new_id(21)})


def test_a_message_is_no_approval() -> None:
    talk = Talk(rejects=True).ask("disable flights")
    calls = len(talk.calls)
    assert "press **Approve**" in talk.ask("yes").said
    assert len(talk.calls) == calls


def test_yes_is_no_answer_to_a_choice() -> None:
    talk = Talk().ask("run it", "yes", "weather")
    assert len(talk.asked) == 2
    assert talk.last == ("run_pipeline", {"pipeline_id": new_id(12)})


PAGES = json.loads((FRONTEND / "src/features/agent/page-suggestions.json").read_text())


@pytest.mark.parametrize("text", [text for page in PAGES for text in page["suggestions"]])
def test_the_suggestions_of_the_dashboard_are_understood(text: str) -> None:
    assert not isinstance(read_request(text), NotUnderstood | MakePipelines)
