"""A pipeline starts when files arrive: once for each set of files that has stopped changing."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from moto.server import ThreadedMotoServer
from pytest_django import Settings

from apps.orgs.roles import Role
from apps.pipelines.models import FileWatch, Pipeline, PipelineVersion
from apps.runs import services
from apps.runs.file_watches import looking
from apps.runs.models import Run, Trigger
from tests.engine.sources.api import ReceivedRequest, Reply, serve_api
from tests.jobs import fetch_jobs
from tests.runs.claiming.test_blackouts import today
from tests.runs.claiming.test_scheduling import create_schedule
from tests.runs.conftest import make_pipeline
from tests.runs.file_watches.conftest import Watched, watch
from tests.runs.test_closed_orgs import update_org
from tests.threads import DatabaseThread
from tests.world import World, make_world


def test_a_new_file_starts_a_run_once_at_the_second_look_that_finds_it(watched: Watched) -> None:
    (watched.folder / "old.csv").write_text("a\n1\n")
    assert not watched.look()
    assert not watched.look()
    (watched.folder / "new.csv").write_text("a\n2\n")

    assert not watched.look()
    shown = watched.show()
    assert (shown["files"], shown["waiting"], shown["problem"]) == (2, True, "")
    assert "if the next look finds the same" in shown["reason"]
    assert watched.look()

    (run,) = watched.runs()
    assert run.trigger == Trigger.FILE
    watched.end_runs()
    assert not watched.look()
    assert len(watched.runs()) == 1
    shown = watched.show()
    assert (shown["waiting"], shown["reason"]) == (False, "")


def test_a_file_that_grows_waits_for_a_quiet_look(watched: Watched) -> None:
    assert not watched.look()
    for number in range(4):
        with (watched.folder / "growing.csv").open("a") as file:
            file.write(f"{number}\n")
        assert not watched.look()
    assert watched.runs() == []
    assert watched.look()


def test_present_files_start_a_run_if_they_are_called_new(world: World) -> None:
    watched = watch(world, present_files_are_new=True)
    (watched.folder / "old.csv").write_text("a\n1\n")
    assert not watched.look()
    assert watched.look()


def test_no_files_start_no_run(world: World) -> None:
    watched = watch(world, present_files_are_new=True)
    assert [watched.look() for _ in range(3)] == [False] * 3
    assert watched.show()["files"] == 0


def test_only_files_of_the_streams_that_the_pipeline_reads_count(world: World) -> None:
    watched = watch(world, "*/*.csv", source={"one_stream_per": "folder"})
    with world.scope():
        version = PipelineVersion.objects.for_org(world.org).get(pipeline=watched.pipeline)
        del version.definition["streams"]
        version.definition |= {
            "streams": [],
            "patterns": {"match": ["*", "!tmp*"], "sync_mode": "full_refresh"},
        }
        version.save()
    watched.look()
    for name in ("tmp", "orders"):
        (watched.folder / name).mkdir()
    (watched.folder / "tmp" / "a.csv").write_text("a\n1\n")
    assert [watched.look() for _ in range(2)] == [False, False]
    assert watched.show()["files"] == 0
    (watched.folder / "orders" / "a.csv").write_text("a\n1\n")
    assert [watched.look() for _ in range(2)] == [False, True]


def test_a_file_that_arrives_during_a_run_starts_another_one_afterwards(watched: Watched) -> None:
    watched.look()
    (watched.folder / "a.csv").write_text("a\n1\n")
    assert [watched.look() for _ in range(2)] == [False, True]
    (watched.folder / "b.csv").write_text("a\n1\n")
    assert [watched.look() for _ in range(3)] == [False] * 3
    assert watched.show()["reason"] == (
        "The pipeline is running. The files start it once more afterwards."
    )
    watched.end_runs()
    assert watched.look()
    assert len(watched.runs()) == 2


def test_many_looks_of_an_org_keep_one_place_of_a_worker(world: World) -> None:
    stranger = make_world("Stranger")
    watches = [watch(each) for each in (world, world, world, stranger)]
    for each in watches:
        each.make_due()
    assert looking.tick() == 4
    assert looking.tick() == 0, "each look waits once"

    assert fetch_jobs(looking.QUEUE) == [str(world.org.pk), str(stranger.org.pk)]


@pytest.mark.parametrize("obstacle", ["disabled", "blackout", "paused", "suspended"])
def test_files_wait_while_the_pipeline_may_not_start(watched: Watched, obstacle: str) -> None:
    world, now = watched.world, timezone.now()
    watched.look()
    (watched.folder / "a.csv").write_text("a\n1\n")
    assert not watched.look()
    schedule = create_schedule(world, watched.pipeline, next_run_at=None)

    def change(is_set: bool) -> None:
        if obstacle == "suspended":
            update_org(world, suspended_at=now if is_set else None)
        with world.scope():
            if obstacle == "disabled":
                Pipeline.objects.for_org(world.org).update(enabled=not is_set)
            schedule.blackouts = [today()] if obstacle == "blackout" and is_set else []
            schedule.paused_at = now if obstacle == "paused" and is_set else None
            schedule.save()

    change(is_set=True)
    assert [watched.look() for _ in range(2)] == [False, False]
    if obstacle != "suspended":
        assert obstacle in watched.show()["reason"]
    change(is_set=False)
    assert watched.look()
    assert len(watched.runs()) == 1


def test_the_tick_looks_for_files_of_active_orgs_when_it_is_time(watched: Watched) -> None:
    assert looking.tick() == 1
    assert looking.tick() == 0, "the job is still waiting"
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs")
    watched.look()
    assert looking.tick() == 0, "the next look is in 5 minutes"
    watched.make_due()
    update_org(watched.world, suspended_at=timezone.now())
    assert looking.tick() == 0
    update_org(watched.world, suspended_at=None)
    assert looking.tick() == 1


def test_a_time_that_a_wrong_clock_has_stored_does_not_keep_looks_back(watched: Watched) -> None:
    (watched.folder / "new.csv").write_text("a\n1\n")
    with watched.world.scope():
        rows = FileWatch.objects.for_org(watched.world.org)
        rows.update(next_look_at=timezone.now() + timedelta(days=900))
    assert looking.tick() == 1
    looking.look(org_id=watched.world.org.pk, pipeline_id=watched.pipeline.pk)
    with watched.world.scope():
        assert rows.filter(next_look_at__lt=timezone.now() + timedelta(hours=1)).exists()


def test_a_look_that_fails_is_shown_and_the_files_start_a_run_later(watched: Watched) -> None:
    watched.look()
    folder = watched.folder
    (folder / "a.csv").write_text("a\n1\n")
    watched.look()
    change_kind(watched, "postgres")
    assert [watched.look() for _ in range(2)] == [False, False]
    shown = watched.show()
    assert shown["problem"] == "The source of the pipeline, PostgreSQL, has no files to look for."
    assert (shown["possible"], shown["files"]) == (False, 1)
    change_kind(watched, "files")
    assert watched.look()
    assert watched.show()["problem"] == ""


def change_kind(watched: Watched, kind: str) -> None:
    with watched.world.scope():
        rows = Pipeline.objects.for_org(watched.world.org).filter(pk=watched.pipeline.pk)
        rows.update(source_kind=kind)


def test_a_file_on_the_web_is_not_downloaded_by_a_look(world: World) -> None:
    """A server without versions cannot be watched; that is a problem, not a run."""
    versions: list[dict[str, str]] = [{"ETag": '"1"'}, {"ETag": '"2"'}, {"ETag": '"2"'}, {}]
    larger_than_allowed = b"1\n" * (1 << 20)

    def respond(_: ReceivedRequest) -> Reply:
        return Reply(larger_than_allowed, headers=versions.pop(0))

    with serve_api(respond) as api:
        config = {"max_download_mb": 1, "stream_name": "files"}
        watched = watch(world, f"{api.url}/a.csv", source=config)
        found = [(watched.look(), watched.show()["problem"]) for _ in range(4)]
    assert [started for started, _ in found] == [False, False, True, False]
    assert [problem for _, problem in found[:3]] == ["", "", ""]
    assert found[3][1].startswith("the server sends neither ETag nor Last-Modified")


@pytest.fixture
def bucket(settings: Settings) -> Iterator[Any]:
    """The installation keeps its files in this bucket."""
    import boto3

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    options = {
        "endpoint_url": f"http://{host}:{port}",
        "access_key": "key",
        "secret_key": "secret",
        "region_name": "us-east-1",
        "bucket_name": "uploads",
    }
    client = boto3.client(
        "s3",
        endpoint_url=options["endpoint_url"],
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="uploads")
    settings.STORAGE_KIND = "s3"
    settings.STORAGE_OPTIONS = {**settings.STORAGE_OPTIONS, "s3": options}
    yield client
    server.stop()


def test_a_new_object_in_a_bucket_starts_a_run(world: World, bucket: Any) -> None:
    watched = watch(world)
    prefix = f"org/{world.org.pk}/files"

    def put(name: str, body: bytes) -> None:
        bucket.put_object(Bucket="uploads", Key=f"{prefix}/{name}", Body=body)

    put("old.csv", b"a\n1\n")
    assert not watched.look()
    assert watched.show()["files"] == 1
    put("new.csv", b"a\n1\n")
    assert [watched.look() for _ in range(2)] == [False, True]


@pytest.mark.usefixtures("listing_in_process")
def test_two_workers_at_once_start_one_run(committed_db: None) -> None:
    watched = watch(make_world(), present_files_are_new=True)
    (watched.folder / "a.csv").write_text("a\n1\n")
    watched.look()
    watched.make_due()
    barrier = threading.Barrier(3)
    started: list[bool] = []
    find = looking._find_files

    def find_together(task: looking.Task) -> looking.Found:
        found = find(task)
        barrier.wait(20)
        return found

    def look() -> None:
        where = {"org_id": watched.world.org.pk, "pipeline_id": watched.pipeline.pk}
        started.append(looking.look(**where))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looking, "_find_files", find_together)
        threads = [DatabaseThread(target=look) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(started) == [False, False, True]
    assert len(watched.runs()) == 1


def test_two_looks_at_the_same_time_start_one_run_even_if_it_ends_between_them(
    watched: Watched,
) -> None:
    watched.look()
    (watched.folder / "a.csv").write_text("a\n1\n")
    watched.look()
    watched.make_due()
    with watched.world.scope():
        slow = looking._prepare(watched.world.org.pk, watched.pipeline.pk)
    assert slow is not None
    found = looking._find_files(slow)
    assert looking.look(org_id=watched.world.org.pk, pipeline_id=watched.pipeline.pk)
    watched.end_runs()

    with watched.world.scope():
        assert not looking._store(watched.world.org, slow.watch, found)
    assert len(watched.runs()) == 1


def test_a_worker_that_dies_before_the_commit_has_started_nothing(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.look()
    (watched.folder / "a.csv").write_text("a\n1\n")
    watched.look()
    start = services.start

    def start_and_die(**arguments: Any) -> Run:
        start(**arguments)
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(services, "start", start_and_die)
        with pytest.raises(SystemExit):
            watched.look()
    assert watched.runs() == []
    assert watched.look()
    assert len(watched.runs()) == 1


@pytest.mark.usefixtures("listing_in_process")
@pytest.mark.sample(3)
@pytest.mark.parametrize("seed", range(6))
def test_each_quiet_set_of_files_starts_exactly_one_run(watched: Watched, seed: int) -> None:
    """Random changes, looks and ends of runs, compared with a model of what has to happen."""
    chance = random.Random(seed)
    watched.look()
    started: dict[str, str] = {}
    seen, is_live, expected = started, False, 0
    for _ in range(60):
        step = chance.choice(("write", "append", "remove", "look", "look", "look", "end"))
        name = chance.choice("abc")
        file = watched.folder / f"{name}.csv"
        if step in {"write", "append"}:
            with file.open("w" if step == "write" else "a") as opened:
                opened.write("1\n" * chance.randint(1, 9))
        elif step == "remove":
            file.unlink(missing_ok=True)
        elif step == "end":
            watched.end_runs()
            is_live = False
        elif step == "look":
            versions = {
                path.name: f"{path.stat().st_size} {path.stat().st_mtime_ns}"
                for path in watched.folder.glob("*.csv")
            }
            starts = bool(versions) and versions == seen != started and not is_live
            assert watched.look() == starts
            if starts:
                started, is_live, expected = versions, True, expected + 1
            seen = versions
    assert len(watched.runs()) == expected > 0


def test_viewers_see_the_watch_and_strangers_do_not(watched: Watched) -> None:
    world = watched.world
    viewer, stranger = world.client(Role.VIEWER), make_world("Other").client(Role.OWNER)
    assert viewer.get(watched.path).status_code == 200
    assert viewer.put(watched.path, {"enabled": False}).status_code == 403
    assert stranger.get(watched.path).status_code == 404
    assert stranger.put(watched.path, {"enabled": False}).status_code == 404
    assert world.client(Role.MEMBER).put(watched.path, {"enabled": False}).status_code == 200
    assert looking.tick() == 0


def test_a_source_without_files_cannot_be_watched(world: World) -> None:
    watched = Watched(world, make_pipeline(world))
    assert watched.show()["possible"] is False
    refused = world.client(Role.MEMBER).put(watched.path, {"enabled": True})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "enabled")
    for minutes in (0, 1441):
        body = {"enabled": False, "minutes": minutes}
        refused = world.client(Role.MEMBER).put(watched.path, body)
        assert refused.json()["errors"][0]["field"] == "minutes"


def test_a_watch_that_somebody_has_changed_is_not_overwritten(watched: Watched) -> None:
    client = watched.world.client(Role.MEMBER)
    read = client.get(watched.path)
    first = client.put(watched.path, {"enabled": True, "minutes": 9}, HTTP_IF_MATCH=read["ETag"])
    second = client.put(watched.path, {"enabled": False}, HTTP_IF_MATCH=read["ETag"])
    assert (first.status_code, second.status_code) == (200, 412)
    assert watched.show()["minutes"] == 9


def test_a_change_during_a_look_counts_and_the_look_does_not(watched: Watched) -> None:
    (watched.folder / "a.csv").write_text("a\n1\n")
    with watched.world.scope():
        task = looking._prepare(watched.world.org.pk, watched.pipeline.pk)
    assert task is not None
    found = looking._find_files(task)
    watched.put(present_files_are_new=True)
    with watched.world.scope():
        assert not looking._store(watched.world.org, task.watch, found)
        row = FileWatch.objects.for_org(watched.world.org).get()
    assert (row.started_digest, row.seen_digest, row.looked_at) == ("", "", None)
    assert [watched.look() for _ in range(2)] == [False, True]
