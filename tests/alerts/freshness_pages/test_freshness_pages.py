"""An org publishes the freshness of its pipelines by a link. Readers see what it has chosen to show, and nothing else."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from xml.etree import ElementTree

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.alerts.freshness_pages import limits, words
from apps.alerts.freshness_pages.badge import badge
from apps.alerts.freshness_pages.contents import Incident, merge_overlapping
from apps.alerts.models import Alert, FreshnessPage
from apps.orgs.models import AuditEvent, Org
from apps.orgs.roles import Role
from apps.pipelines.models import Pipeline
from apps.runs.models import Status
from tests.alerts.conftest import RULES, end_run
from tests.world import World, make_pipeline, make_world, new_client

PAGES = "/api/v1/freshness-pages"
HOSTILE = "<script>alert('1')</script> & \"quotes\""
HTML = {"HTTP_ACCEPT": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(autouse=True)
def fresh_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests share one address, which would reach the limit of the process."""
    monkeypatch.setattr(limits.reads, "_counts", type(limits.reads._counts)())


def add_page(world: World, *pipelines: Any, **fields: Any) -> dict[str, Any]:
    body = {
        "title": "Data of the shop",
        "enabled": True,
        "pipelines": [{"pipeline_id": str(pipeline.pk)} for pipeline in pipelines],
        **fields,
    }
    answer = world.client(Role.ADMIN).post(PAGES, body)
    assert answer.status_code == 201, answer.content
    page: dict[str, Any] = answer.json()
    return page


def get(url: str, suffix: str = "", **headers: Any) -> Any:
    """Read a public address without an account."""
    return new_client().get("/api/v1/" + url.partition("/api/v1/")[2] + suffix, **headers)


def read(page: dict[str, Any]) -> dict[str, Any]:
    answer = get(page["url"], ".json")
    assert answer.status_code == 200, answer.content
    contents: dict[str, Any] = answer.json()
    return contents


def set_columns(world: World, pipeline: Any, **columns: Any) -> None:
    with world.scope():
        Pipeline.objects.for_org(world.org).filter(pk=pipeline.pk).update(**columns)


def change(world: World, page: dict[str, Any], **fields: Any) -> dict[str, Any]:
    answer = world.client(Role.ADMIN).patch(f"{PAGES}/{page['id']}", fields)
    assert answer.status_code == 200, answer.content
    changed: dict[str, Any] = answer.json()
    return changed


def test_an_org_has_no_page_and_a_new_page_is_not_published(world: World) -> None:
    assert world.client(Role.ADMIN).get(PAGES).json()["results"] == []
    created = world.client(Role.ADMIN).post(PAGES, {"title": "Data"})
    assert (created.status_code, created.json()["enabled"]) == (201, False)
    assert get(created.json()["url"], ".json").status_code == 404
    change(world, created.json(), enabled=True)
    assert get(created.json()["url"], ".json").status_code == 200


def test_readers_see_only_what_the_org_has_chosen(world: World) -> None:
    shown = make_pipeline(world, name="orders_to_warehouse")
    renamed = make_pipeline(world, name="internal-name")
    hidden = make_pipeline(world, name="salaries")
    for pipeline in (shown, renamed, hidden):
        end_run(world, pipeline, failure_message="db.internal refused the password of ada")
    page = add_page(
        world,
        pipelines=[
            {"pipeline_id": str(renamed.pk), "name": "Visits"},
            {"pipeline_id": str(shown.pk)},
        ],
    )

    contents = read(page)

    assert [pipeline["name"] for pipeline in contents["pipelines"]] == [
        "Visits",
        "orders_to_warehouse",
    ]
    assert {incident["pipeline_name"] for incident in contents["incidents"]} == {
        "Visits",
        "orders_to_warehouse",
    }
    for answer in (get(page["url"], ".json"), get(page["url"], **HTML)):
        text = answer.content.decode()
        for secret in (
            *("internal-name", "salaries", "password", "db.internal", world.org.name),
            *(str(pipeline.pk) for pipeline in (shown, renamed, hidden)),
            *(user.email for user in world.users.values()),
        ):
            assert secret not in text


def test_the_freshness_is_that_of_the_list_of_pipelines(world: World) -> None:
    """Each state, as the API of pipelines tells it."""
    now, hour = timezone.now(), timedelta(hours=1)
    columns: dict[str, dict[str, Any]] = {
        "failing": {"failing_since": now, "late_at": now - hour, "last_success_at": now},
        "late": {"late_at": now - hour, "last_success_at": now - 2 * hour},
        "fresh": {"late_at": now + hour, "last_success_at": now},
        "none": {"late_at": None, "last_success_at": None},
    }
    pipelines = [make_pipeline(world) for _ in columns]
    for pipeline, values in zip(pipelines, columns.values(), strict=True):
        set_columns(world, pipeline, **values)
    page = add_page(world, *pipelines)

    contents = read(page)

    rows = world.client(Role.VIEWER).get("/api/v1/pipelines").json()["results"]
    listed = {row["name"]: row["freshness"] for row in rows}
    assert {one["name"]: one["freshness"] for one in contents["pipelines"]} == listed
    assert [one["freshness"] for one in contents["pipelines"]] == list(columns)
    assert contents["freshness"] == "failing"
    text = get(page["url"], **HTML).content.decode()
    for told in ("1 failing and 1 late of 4", "Fresh", "No data yet", "Not updated yet"):
        assert told in text


def test_incidents_are_the_alerts_of_rules_about_data(world: World) -> None:
    pipeline = make_pipeline(world, name="Orders")
    page = add_page(world, pipeline)
    assert read(page)["incidents"] == []
    end_run(world, pipeline)

    (incident,) = read(page)["incidents"]
    assert (incident["kind"], incident["pipeline_name"]) == ("failed", "Orders")
    assert incident["closed_at"] is None
    assert incident["pipeline_id"] == page["pipelines"][0]["id"]

    end_run(world, pipeline, status=Status.SUCCEEDED)
    (incident,) = read(page)["incidents"]
    assert incident["closed_at"] is not None
    change(world, page, incident_days=0)
    assert read(page)["incidents"] == []


def test_alerts_about_how_a_pipeline_works_are_no_incidents(world: World) -> None:
    pipeline = make_pipeline(world)
    page = add_page(world, pipeline)
    rule = world.client(Role.MEMBER).post(RULES, {"kind": "slow", "channel_ids": []}).json()
    with world.scope():
        Alert.unscoped.create(
            org=world.org, rule_id=rule["id"], pipeline=pipeline, cause=cause_of(rule)
        )
    assert read(page)["incidents"] == []


def test_an_incident_is_what_the_rule_had_found_before_its_kind_was_changed(world: World) -> None:
    pipeline = make_pipeline(world)
    page = add_page(world, pipeline)
    client = world.client(Role.MEMBER)
    rules = client.get(RULES).json()["results"]
    (failed,) = (row for row in rules if row["kind"] == "run_failed")
    end_run(world, pipeline)
    assert client.patch(f"{RULES}/{failed['id']}", {"kind": "slow"}).status_code == 200
    assert [incident["kind"] for incident in read(page)["incidents"]] == ["failed"]

    slow = client.post(RULES, {"kind": "slow", "channel_ids": []}).json()
    other = make_pipeline(world)
    change(world, page, pipelines=[{"pipeline_id": str(other.pk)}])
    with world.scope():
        Alert.unscoped.create(
            org=world.org, rule_id=slow["id"], pipeline=other, cause=cause_of(slow)
        )
    assert client.patch(f"{RULES}/{slow['id']}", {"kind": "late"}).status_code == 200
    assert read(page)["incidents"] == []


def cause_of(rule: dict[str, Any]) -> dict[str, Any]:
    return {"rule": {"kind": rule["kind"]}}


def test_open_incidents_are_first_and_old_ones_are_left_out(world: World) -> None:
    pipelines = [make_pipeline(world, name=name) for name in ("old", "open", "recent")]
    page = add_page(world, *pipelines, incident_days=7)
    now = timezone.now()
    (rule,) = (
        row
        for row in world.client(Role.MEMBER).get(RULES).json()["results"]
        if row["kind"] == "run_failed"
    )
    times = [(30, 8), (60, None), (6, 5)]
    with world.scope():
        for pipeline, (opened, closed) in zip(pipelines, times, strict=True):
            Alert.unscoped.create(
                org=world.org,
                rule_id=rule["id"],
                pipeline=pipeline,
                opened_at=now - timedelta(days=opened),
                closed_at=None if closed is None else now - timedelta(days=closed),
                cause=cause_of(rule),
            )
    names = [incident["pipeline_name"] for incident in read(page)["incidents"]]
    assert names == ["open", "recent"]


def test_what_several_rules_have_found_is_one_incident() -> None:
    first, second = uuid4(), uuid4()

    def incident(pipeline_id: Any, opened: int, closed: int | None, kind: str = "late") -> Incident:
        def at(hour: int) -> datetime:
            return datetime(2026, 3, 1, hour, tzinfo=UTC)

        return Incident(pipeline_id, "", kind, at(opened), None if closed is None else at(closed))

    merged = merge_overlapping(
        [
            incident(first, 3, 5),
            incident(first, 1, 4),
            incident(first, 7, 8),
            incident(first, 2, 9, "failed"),
            incident(second, 1, None),
            incident(second, 3, 4),
        ]
    )
    assert set(merged) == {
        incident(first, 1, 5),
        incident(first, 7, 8),
        incident(first, 2, 9, "failed"),
        incident(second, 1, None),
    }
    assert len(merged) == 4


def test_an_admin_changes_and_deletes_a_page_and_the_audit_log_tells(world: World) -> None:
    orders, visits = make_pipeline(world, name="orders"), make_pipeline(world, name="visits")
    page = add_page(world, orders)
    client, address = world.client(Role.ADMIN), f"{PAGES}/{page['id']}"
    opened = client.get(address)
    changes = {
        "title": "Our data",
        "pipelines": [
            {"pipeline_id": str(visits.pk), "name": "Visits"},
            {"pipeline_id": str(orders.pk)},
        ],
    }
    changed = client.patch(address, changes, headers={"If-Match": opened["ETag"]})
    assert changed.status_code == 200, changed.content
    stale = client.patch(address, {"title": "Late"}, headers={"If-Match": opened["ETag"]})
    assert stale.status_code == 412
    shown = changed.json()["pipelines"]
    assert [(one["pipeline_name"], one["name"]) for one in shown] == [
        ("visits", "Visits"),
        ("orders", ""),
    ]
    assert shown[1]["badge_url"] == page["pipelines"][0]["badge_url"], "the badge stays"
    assert client.get(PAGES).json()["results"] == [changed.json()]
    assert client.delete(address).status_code == 204
    assert get(page["url"]).status_code == 404
    with world.scope():
        events = AuditEvent.objects.for_org(world.org).filter(object_kind="freshness_page")
        create, update, delete = events.order_by("id")
    assert (create.action, delete.action) == ("freshness_page.create", "freshness_page.delete")
    assert update.changes == {
        "title": ["Data of the shop", "Our data"],
        "pipelines": [["orders"], ["Visits", "orders"]],
    }
    token = page["url"].rpartition("/")[2]
    assert token not in str([event.changes for event in (create, update, delete)])


def test_a_viewer_and_a_member_are_refused_and_a_stranger_finds_nothing(
    world: World, stranger: World
) -> None:
    page = add_page(world)
    address = f"{PAGES}/{page['id']}"
    for role in (Role.VIEWER, Role.MEMBER):
        client = world.client(role)
        assert client.get(PAGES).status_code == 403
        assert client.get(address).status_code == 403
        assert client.post(PAGES, {"title": "Mine"}).status_code == 403
        assert client.patch(address, {"enabled": False}).status_code == 403
        assert client.post(f"{address}/renew-link").status_code == 403
    foreign = stranger.client(Role.OWNER)
    assert foreign.get(PAGES).json()["results"] == []
    for answer in (
        foreign.get(address),
        foreign.get(f"{address}/preview"),
        foreign.patch(address, {"enabled": False}),
        foreign.post(f"{address}/renew-link"),
        foreign.delete(address),
    ):
        assert answer.status_code == 404
    assert get(page["url"]).status_code == 200


def test_the_pipelines_of_another_org_cannot_be_published(world: World, stranger: World) -> None:
    theirs = make_pipeline(stranger)
    own = make_pipeline(world)
    client = world.client(Role.ADMIN)
    for chosen, code in ((theirs, "unknown"), (own, "duplicate")):
        pipelines = [{"pipeline_id": str(own.pk)}, {"pipeline_id": str(chosen.pk)}]
        refused = client.post(PAGES, {"title": "Data", "pipelines": pipelines})
        (error,) = refused.json()["errors"]
        assert refused.status_code == 422
        assert (error["field"], error["code"]) == ("pipelines.1.pipeline_id", code)


def test_a_deleted_pipeline_leaves_the_page(world: World) -> None:
    pipeline, other = make_pipeline(world), make_pipeline(world, name="orders")
    page = add_page(world, pipeline, other)
    deleted = world.client(Role.MEMBER).delete(f"/api/v1/pipelines/{pipeline.pk}")
    assert deleted.status_code == 204, deleted.content
    assert [one["name"] for one in read(page)["pipelines"]] == ["orders"]
    assert get(page["pipelines"][0]["badge_url"]).status_code == 404


def test_a_renewed_link_replaces_the_old_one_at_once(world: World) -> None:
    page = add_page(world)
    renewed = world.client(Role.ADMIN).post(f"{PAGES}/{page['id']}/renew-link").json()
    assert renewed["url"] != page["url"]
    assert get(page["url"]).status_code == 404
    assert get(renewed["url"]).status_code == 200
    with world.scope():
        stored = FreshnessPage.objects.for_org(world.org).values().get()
    assert renewed["url"].rpartition("/")[2] not in str(stored)
    assert len(renewed["url"].rpartition("/")[2]) >= 43, "256 bits"


def test_all_links_that_show_nothing_get_the_same_answer(world: World) -> None:
    pages = {name: add_page(world) for name in ("off", "renewed", "deleted", "suspended")}
    client = world.client(Role.ADMIN)
    change(world, pages["off"], enabled=False)
    client.post(f"{PAGES}/{pages['renewed']['id']}/renew-link")
    client.delete(f"{PAGES}/{pages['deleted']['id']}")
    closed = {name: make_world() for name in ("suspended", "deleting")}
    pages |= {name: add_page(org) for name, org in closed.items()}
    for name, column in (("suspended", "suspended_at"), ("deleting", "deletion_at")):
        with closed[name].scope():
            Org.objects.filter(pk=closed[name].org.pk).update(**{column: timezone.now()})
    pages["unknown"] = {"url": pages["off"]["url"][:-3] + "abc"}
    for suffix, headers in (("", HTML), ("", {}), (".json", {}), ("/badge.svg", {})):
        answers = {name: get(page["url"], suffix, **headers) for name, page in pages.items()}
        distinct = {
            (
                answer.status_code,
                answer.content,
                str({k: v for k, v in answer.headers.items() if k != "X-Request-ID"}),
            )
            for answer in answers.values()
        }
        assert len(distinct) == 1, distinct
        (status, _, sent_headers) = distinct.pop()
        assert status == 404
        assert "no-store" in sent_headers


def test_the_page_is_html_for_browsers_and_json_for_programs(world: World) -> None:
    page = add_page(world, make_pipeline(world, name="Orders"))
    html, json, default = get(page["url"], **HTML), get(page["url"], ".json"), get(page["url"])
    assert html["Content-Type"] == "text/html; charset=utf-8"
    assert json["Content-Type"].startswith("application/json")
    assert default.json() == json.json()
    assert html["Vary"] == "Accept"
    assert "<script" not in html.content.decode()
    assert re.search(r'<time datetime="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ">', html.content.decode())
    wrong = get(page["url"][:-1], **HTML)
    assert wrong.status_code == 404
    assert "no longer published" in wrong.content.decode()


@pytest.mark.parametrize("suffix", ["", ".json", "/badge.svg"])
def test_answers_may_be_cached_for_a_minute_and_are_not_indexed(world: World, suffix: str) -> None:
    page = add_page(world)
    answer = get(page["url"], suffix)
    assert answer["Cache-Control"] == "public, max-age=60"
    assert answer["X-Robots-Tag"] == "noindex"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert answer["Content-Security-Policy"].startswith("default-src 'none'")
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert not answer.cookies
    again = get(page["url"], suffix, HTTP_IF_NONE_MATCH=answer["ETag"])
    assert (again.status_code, again.content) == (304, b"")
    assert again["X-Robots-Tag"] == "noindex"
    change(world, page, title="Other")
    assert get(page["url"], suffix, HTTP_IF_NONE_MATCH=answer["ETag"]).status_code == 200


def count_queries(page: dict[str, Any]) -> int:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        read(page)
    return len(queries)


def test_the_number_of_queries_is_constant(world: World) -> None:
    few, many = make_pipeline(world), [make_pipeline(world) for _ in range(5)]
    small, large = add_page(world, few), add_page(world, *many)
    for pipeline in (few, *many):
        end_run(world, pipeline)
    assert count_queries(small) == count_queries(large)


def test_the_list_of_pages_takes_a_constant_number_of_queries(world: World) -> None:
    client = world.client(Role.ADMIN)
    add_page(world, make_pipeline(world))
    with CaptureQueriesContext(connection) as one:
        client.get(PAGES)
    for _ in range(3):
        add_page(world, make_pipeline(world), make_pipeline(world))
    with CaptureQueriesContext(connection) as many:
        client.get(PAGES)
    assert len(one) == len(many)


def test_a_client_that_reads_too_often_has_to_wait(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = add_page(world)
    monkeypatch.setattr(limits, "READS_PER_MINUTE", 2)
    clock = [timezone.now().replace(second=30, microsecond=0)]
    monkeypatch.setattr(timezone, "now", lambda: clock[0])
    assert [get(page["url"]).status_code for _ in range(3)] == [200, 200, 429]
    refused = get(page["url"], **HTML)
    assert (refused.status_code, refused["Retry-After"]) == (429, "30")
    assert get(page["url"], REMOTE_ADDR="192.0.2.7").status_code == 200
    clock[0] += timedelta(seconds=30)
    assert get(page["url"]).status_code == 200


@pytest.mark.parametrize("name", ["\u202eevil", "x" * 10_000, "a\nb", "\u0000", ""])
def test_a_title_that_no_page_could_show_is_refused(world: World, name: str) -> None:
    refused = world.client(Role.ADMIN).post(PAGES, {"title": name})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "title")


def test_hostile_names_are_shown_as_text(world: World) -> None:
    pipeline = make_pipeline(world, name="Orders")
    end_run(world, pipeline)
    chosen = [{"pipeline_id": str(pipeline.pk), "name": HOSTILE}]
    page = add_page(world, title=HOSTILE, pipelines=chosen)
    text = get(page["url"], **HTML).content.decode()
    assert "<script" not in text
    assert (
        text.count("&lt;script&gt;") >= 4
    )  # the title of the document, the heading, the pipeline and its incident
    for url in (page["badge_url"], page["pipelines"][0]["badge_url"]):
        svg = ElementTree.fromstring(get(url).content)  # noqa: S314 - it is ours
        assert {element.tag.rpartition("}")[2] for element in svg.iter()} == {
            "svg", "title", "rect", "path", "g", "text",
        }  # fmt: skip


@pytest.mark.parametrize(
    "label", [HOSTILE, "\u202eevil\u2066", "x" * 10_000, "\x00\x1b\ufffe", "", "注文", "טריות"]
)
def test_a_badge_shows_any_label_as_text(label: str) -> None:
    svg = ElementTree.fromstring(badge(label, "2 late", "late"))  # noqa: S314 - it is ours
    assert svg.attrib["role"] == "img"
    title = svg.findtext("{http://www.w3.org/2000/svg}title")
    assert title is not None
    assert title.endswith(": 2 late")
    assert title == svg.attrib["aria-label"]
    assert len(title) <= 50
    assert int(svg.attrib["width"]) < 600
    assert not re.search("[\u202e\u2066\x1b]", title)


def test_the_badges_tell_the_state(world: World) -> None:
    fresh, late = make_pipeline(world, name="orders"), make_pipeline(world, name="visits")
    now, hour = timezone.now(), timedelta(hours=1)
    set_columns(world, fresh, late_at=now + hour, last_success_at=now)
    set_columns(world, late, late_at=now - hour)
    page = add_page(world, fresh, late)
    assert "<title>Data of the shop: 1 late</title>" in get(page["badge_url"]).content.decode()
    titles = [get(one["badge_url"]).content.decode() for one in page["pipelines"]]
    assert "<title>orders: Fresh</title>" in titles[0]
    assert "<title>visits: Late</title>" in titles[1]
    assert get(page["badge_url"])["Content-Type"] == "image/svg+xml; charset=utf-8"
    unknown = page["pipelines"][0]["badge_url"].replace(page["pipelines"][0]["id"], str(uuid4()))
    assert get(unknown).status_code == 404


@pytest.mark.parametrize(
    ("seconds", "relative", "duration"),
    [
        (-30, "just now", "less than a minute"),
        (59, "just now", "less than a minute"),
        (60, "1 minute ago", "1 minute"),
        (7500, "2 hours ago", "2 hours, 5 minutes"),
        (3 * 86400 + 3600, "3 days ago", "3 days, 1 hour"),
    ],
)
def test_times_are_told_in_words(seconds: int, relative: str, duration: str) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    end = start + timedelta(seconds=seconds)
    assert words.ago(start, end) == relative
    assert words.duration_of(Incident(uuid4(), "", "late", start, end), end) == duration
    assert words.duration_of(Incident(uuid4(), "", "late", start, None), end) == duration


def test_the_preview_is_what_readers_see(world: World) -> None:
    pipeline = make_pipeline(world, name="Orders")
    end_run(world, pipeline)
    page = add_page(world, pipeline)
    preview = world.client(Role.ADMIN).get(f"{PAGES}/{page['id']}/preview")
    assert preview.json() == read(page)
    change(world, page, enabled=False)
    assert world.client(Role.ADMIN).get(f"{PAGES}/{page['id']}/preview").status_code == 200


def test_an_org_has_at_most_20_pages(world: World) -> None:
    for _ in range(20):
        add_page(world)
    refused = world.client(Role.ADMIN).post(PAGES, {"title": "One more"})
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_pages")
