"""Connected Git repositories with a real Git server: what a sync creates, refuses and archives; it never runs code."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from apps.background import jobs
from apps.connectors import engine
from apps.connectors.custom_sources import edits
from apps.connectors.models import CustomSource, CustomSourceVersion, Repository
from apps.connectors.repositories import services as repositories
from apps.connectors.repositories import syncs
from apps.orgs.models import AuditEvent, Org
from apps.orgs.roles import Role
from apps.runs.claiming import reconciler
from tests.git_server import GitServer, git_server
from tests.world import World, make_world

URL = "/api/v1/repositories"
SOURCES = "/api/v1/custom-sources"
TOKEN = "canary-of-a-git-token-4f7q"
GOOD = """
from drover import Page, Source


class Shop(Source):
    streams = ["orders"]

    def get(self, pagination=None):
        return Page([{"id": 1}])
"""
REACHING = """
from drover import RestSource, Stream


class Far(RestSource):
    base_url = "https://HOST"
    streams = [Stream("things")]
"""


@pytest.fixture
def git(tmp_path: Path) -> Iterator[GitServer]:
    with git_server(tmp_path) as server:
        yield server


def connect(world: World, git: GitServer, **changes: Any) -> dict[str, Any]:
    answer = world.client().post(URL, {"url": git.url, "path": "sources", **changes})
    assert answer.status_code == 201, answer.content
    made: dict[str, Any] = answer.json()
    return made


def sync(world: World, made: dict[str, Any]) -> dict[str, Any]:
    """Run the sync as a worker would, and return the repository's new state."""
    syncs.sync(org_id=world.org.pk, repository_id=UUID(made["id"]))
    shown: dict[str, Any] = world.client(Role.VIEWER).get(f"{URL}/{made['id']}").json()
    return shown


def outcomes(shown: dict[str, Any]) -> dict[str, str]:
    return {one["path"]: one["outcome"] for one in shown["outcomes"]}


def sources(world: World, **wanted: Any) -> dict[str, dict[str, Any]]:
    rows = world.client(Role.VIEWER).get(SOURCES, wanted).json()["results"]
    return {row["name"]: row for row in rows}


def test_files_become_sources_with_the_commit_and_its_author(world: World, git: GitServer) -> None:
    commit = git.commit(
        "Orders of the shop\n\nAnd more",
        sources__shop_py=GOOD,
        sources___helper_py="x = 1",
        sources__test_shop_py="x = 1",
        sources__README=b"text",
        elsewhere__other_py=GOOD,
    )
    made = connect(world, git)
    assert made["status"] == "waiting"
    shown = sync(world, made)
    assert shown["status"] == "succeeded", shown
    assert (shown["commit"]["id"], shown["commit"]["author"]) == (commit, "Ada Author")
    assert outcomes(shown) == {"sources/shop.py": "created"}
    (shop,) = sources(world).values()
    assert (shop["name"], shop["origin"]) == ("shop", "repository")
    assert (shop["repository_id"], shop["repository_path"]) == (made["id"], "sources/shop.py")
    assert shop["approved_version"] is None, "nobody has looked at it"
    version = world.client(Role.VIEWER).get(f"{SOURCES}/{shop['id']}").json()["version"]
    assert (version["commit"], version["author"]) == (commit, "Ada Author")
    assert (version["note"], version["code"]) == ("Orders of the shop", GOOD)
    assert version["created_by"] is None


def test_a_changed_file_is_a_new_version_and_an_unchanged_one_is_none(
    world: World, git: GitServer
) -> None:
    git.commit(sources__a_py=GOOD, sources__b_py=GOOD)
    made = connect(world, git)
    sync(world, made)
    git.commit("Second", sources__a_py=GOOD + "\n# changed\n")
    shown = sync(world, made)
    assert outcomes(shown) == {"sources/a.py": "updated", "sources/b.py": "unchanged"}
    assert {name: row["latest_version"] for name, row in sources(world).items()} == {"a": 2, "b": 1}
    assert outcomes(sync(world, made))["sources/a.py"] == "unchanged"


def test_an_unusable_file_is_reported_and_the_others_are_used(world: World, git: GitServer) -> None:
    git.commit(
        sources__good_py=GOOD,
        sources__broken_py="import pandas\n" + GOOD,
        sources__binary_py=b"\xff\xfe\x00",
        sources__large_py=b"#" * 600_000,
        sources__taken_py=GOOD,
    )
    (git.folder / "work/sources/link.py").symlink_to("/etc/passwd")
    git.push()
    world.client().post(SOURCES, {"name": "taken", "code": GOOD})
    shown = sync(world, connect(world, git))
    assert shown["status"] == "partly"
    said = {one["path"]: one["message"] for one in shown["outcomes"] if one["outcome"] == "failed"}
    assert said["sources/broken.py"] == "Line 1: A custom source cannot import pandas."
    assert "UTF-8" in said["sources/binary.py"]
    assert "larger" in said["sources/large.py"]
    assert "symbolic link" in said["sources/link.py"]
    assert "has the name taken" in said["sources/taken.py"]
    assert outcomes(shown)["sources/good.py"] == "created"
    assert set(sources(world)) == {"good", "taken"}


def test_a_version_that_is_broken_now_keeps_what_was_good_before(
    world: World, git: GitServer
) -> None:
    git.commit(sources__a_py=GOOD)
    made = connect(world, git)
    sync(world, made)
    git.commit(sources__a_py="def broken(:")
    assert outcomes(sync(world, made)) == {"sources/a.py": "failed"}
    (row,) = sources(world).values()
    assert (row["latest_version"], row["archived"]) == (1, False)


def test_a_deleted_file_is_archived_and_taken_out_again_when_it_comes_back(
    world: World, git: GitServer
) -> None:
    git.commit(sources__a_py=GOOD, sources__b_py=GOOD)
    made = connect(world, git)
    sync(world, made)
    git.commit(sources__a_py=None)
    assert outcomes(sync(world, made))["sources/a.py"] == "archived"
    assert set(sources(world)) == {"b"}
    assert set(sources(world, archived=True)) == {"a"}
    assert outcomes(sync(world, made))["sources/a.py"] == "archived"
    git.commit(sources__a_py=GOOD)
    assert outcomes(sync(world, made))["sources/a.py"] == "unchanged"
    assert set(sources(world)) == {"a", "b"}


def test_what_a_person_archived_stays_so(world: World, git: GitServer) -> None:
    git.commit(sources__a_py=GOOD)
    made = connect(world, git)
    sync(world, made)
    pk = sources(world)["a"]["id"]
    world.client().patch(f"{SOURCES}/{pk}", {"archived": True})
    sync(world, made)
    assert set(sources(world, archived=True)) == {"a"}


def test_a_folder_that_is_gone_archives_nothing(world: World, git: GitServer) -> None:
    git.commit(sources__a_py=GOOD)
    made = connect(world, git)
    sync(world, made)
    git.commit(sources__a_py=None, other__a_py=GOOD)
    shown = sync(world, made)
    assert shown["status"] == "failed"
    assert shown["message"] == "The branch has no folder or file sources."
    assert set(sources(world)) == {"a"}


def test_its_code_is_changed_in_the_repository_until_that_is_disconnected(
    world: World, git: GitServer
) -> None:
    git.commit(sources__a_py=GOOD)
    made = connect(world, git)
    sync(world, made)
    one = f"{SOURCES}/{sources(world)['a']['id']}"
    answer = world.client().patch(one, {"code": GOOD + "# mine"})
    assert (answer.status_code, answer.json()["code"]) == (409, "from_repository")
    assert world.client().post(f"{one}/versions/1/restore").status_code == 409
    assert world.client().post(f"{one}/versions/1/approve").status_code == 200
    assert world.client().delete(f"{URL}/{made['id']}").status_code == 204
    assert world.client().patch(one, {"code": GOOD + "# mine"}).json()["latest_version"] == 2


def test_new_versions_that_reach_no_new_host_are_approved_where_that_was_asked_for(
    world: World, git: GitServer
) -> None:
    git.commit(sources__a_py=REACHING.replace("HOST", "a.example.com"))
    made = connect(world, git, approves=True)
    sync(world, made)
    one = f"{SOURCES}/{sources(world)['a']['id']}"
    assert sources(world)["a"]["approved_version"] is None, "the first is looked at by a person"
    world.client().post(f"{one}/versions/1/approve")
    git.commit(sources__a_py=REACHING.replace("HOST", "a.example.com") + "# same hosts\n")
    sync(world, made)
    assert sources(world)["a"]["approved_version"] == 2
    git.commit(sources__a_py=REACHING.replace("HOST", "b.example.com"))
    shown = sync(world, made)
    assert sources(world)["a"]["approved_version"] == 2
    assert shown["outcomes"][0]["message"] == "It waits for approval."


def test_a_token_is_needed_kept_and_never_shown(world: World, git: GitServer) -> None:
    git.commit(sources__a_py=GOOD)
    git.token = TOKEN
    made = connect(world, git)
    shown = sync(world, made)
    assert (shown["status"], shown["token"]) == ("failed", {"set": False, "last4": ""})
    assert "token" in shown["message"]
    changed = world.client().patch(f"{URL}/{made['id']}", {"token": TOKEN})
    assert changed.json()["token"] == {"set": True, "last4": TOKEN[-4:]}
    shown = sync(world, made)
    assert shown["status"] == "succeeded", shown
    with world.scope():
        rows = [
            *Repository.objects.for_org(world.org).values(),
            *AuditEvent.objects.for_org(world.org).values(),
        ]
    jobs = list(ProcrastinateJob.objects.values_list("args"))
    said = f"{rows} {jobs} {shown} {changed.content!r}"
    assert TOKEN not in said
    assert made["webhook_secret"] not in said


def test_another_address_asks_for_the_token_again(world: World, git: GitServer) -> None:
    made = connect(world, git, token=TOKEN)
    moved = {"url": git.url.replace("repo", "other")}
    answer = world.client().patch(f"{URL}/{made['id']}", moved)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "token"
    assert world.client().patch(f"{URL}/{made['id']}", {**moved, "token": ""}).status_code == 200


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"url": "git@github.com:team/sources.git"}, "url"),
        ({"url": "file:///etc"}, "url"),
        ({"url": "ext::sh -c id"}, "url"),
        ({"url": "https://user:pw@git.example.com/x"}, "url"),
        ({"url": "https://git.example.com/x?token=1"}, "url"),
        ({"url": "https://*.example.com/x"}, "url"),
        ({"url": "https:///x"}, "url"),
        ({"url": "https://[::1/x"}, "url"),
        ({"branch": "--upload-pack=id"}, "branch"),
        ({"branch": "a..b"}, "branch"),
        ({"branch": "a b"}, "branch"),
        ({"path": "../../etc"}, "path"),
        ({"path": "a/../../b"}, "path"),
        ({"path": "a\\b"}, "path"),
        ({"path": "a//b"}, "path"),
        ({"nothing": 1}, "nothing"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(
    world: World, wrong: dict[str, Any], field: str
) -> None:
    answer = world.client().post(URL, {"url": "https://git.example.com/x", **wrong})
    assert answer.status_code == 422, answer.content
    assert {error["field"] for error in answer.json()["errors"]} == {field}


def test_a_folder_is_connected_once(world: World, git: GitServer) -> None:
    connect(world, git)
    answer = world.client().post(URL, {"url": git.url, "path": "/sources/"})
    assert (answer.status_code, answer.json()["code"]) == (409, "connected")


def test_a_sync_that_cannot_be_written_is_recorded_as_failed(
    world: World, git: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    git.commit(sources__a_py=GOOD)
    made = connect(world, git)

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(edits, "add", broken)
    with pytest.raises(RuntimeError):
        syncs.sync(org_id=world.org.pk, repository_id=UUID(made["id"]))
    shown = world.client().get(f"{URL}/{made['id']}").json()
    assert (shown["status"], shown["outcomes"]) == ("failed", [])
    assert "try again" in shown["message"]


def test_a_sync_that_was_overtaken_writes_nothing(
    world: World, git: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    git.commit(sources__a_py=GOOD)
    made = connect(world, git)
    reading = engine.read_repository

    def slowly(**asked: Any) -> Any:
        found = reading(**asked)
        monkeypatch.setattr(engine, "read_repository", reading)
        git.commit("Newer", sources__a_py=GOOD + "# newer\n")
        sync(world, made)  # a second one, from beginning to end
        return found

    monkeypatch.setattr(engine, "read_repository", slowly)
    shown = sync(world, made)
    assert shown["commit"]["subject"] == "Newer"
    assert sources(world)["a"]["latest_version"] == 1
    version = world.client().get(f"{SOURCES}/{sources(world)['a']['id']}").json()["version"]
    assert version["code"].endswith("# newer\n")


def test_two_syncs_at_once_make_one_source(committed_db: None, git: GitServer) -> None:
    world = make_world()
    git.commit(sources__a_py=GOOD)
    made = connect(world, git)
    failed: list[BaseException] = []

    def one() -> None:
        try:
            syncs.sync(org_id=world.org.pk, repository_id=UUID(made["id"]))
        except BaseException as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    with world.scope():
        assert CustomSource.objects.for_org(world.org).count() == 1
        assert CustomSourceVersion.objects.for_org(world.org).count() == 1
        assert Repository.objects.for_org(world.org).get().status == "succeeded"


def waiting(made: dict[str, Any]) -> int:
    jobs = ProcrastinateJob.objects.filter(task_name=repositories.SYNC, status="todo")
    return sum(job.args["repository_id"] == made["id"] for job in jobs)


def test_syncs_that_are_asked_for_meanwhile_are_one(world: World, git: GitServer) -> None:
    made = connect(world, git)
    for _ in range(3):
        assert world.client().post(f"{URL}/{made['id']}/sync").status_code == 202
    assert waiting(made) == 1
    with world.scope():
        asked = AuditEvent.objects.for_org(world.org).filter(action="repository.sync")
        assert asked.count() == 1


def test_a_sync_whose_worker_died_is_given_to_another(committed_db: None, git: GitServer) -> None:
    world = make_world()
    git.commit(sources__a_py=GOOD)
    made = connect(world, git)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET status = 'doing'")
    with world.scope():
        Repository.objects.for_org(world.org).update(status="running", claim=uuid4())
    assert waiting(made) == 0
    assert jobs.remove_jobs_of_dead_workers(reconciler.WORKER_TIMEOUT) >= 1
    assert waiting(made) == 1
    assert sync(world, made)["status"] == "succeeded"


def test_listing_many_costs_as_many_queries_as_listing_one(
    world: World, django_assert_num_queries: Any, django_assert_max_num_queries: Any
) -> None:
    client = world.client(Role.VIEWER)
    make = {"url": "https://git.example.com/x"}
    world.client().post(URL, make)
    with django_assert_max_num_queries(12) as one:
        client.get(URL)
    queries = len(one)  # the following requests start the log again
    for n in range(20):
        world.client().post(URL, {**make, "path": f"folder-{n}"})
    with django_assert_num_queries(queries):
        assert len(client.get(URL).json()["results"]) == 21


def test_a_suspended_org_reads_no_repository(world: World, git: GitServer) -> None:
    git.commit(sources__a_py=GOOD)
    made = connect(world, git)
    with world.scope():
        assert Org.objects.filter(pk=world.org.pk).update(suspended_at=timezone.now()) == 1
    syncs.sync(org_id=world.org.pk, repository_id=UUID(made["id"]))
    assert git.requested_paths == []


def test_who_may(world: World, git: GitServer) -> None:
    made = connect(world, git)
    one = f"{URL}/{made['id']}"
    stranger = make_world("Other").client()
    calls: list[tuple[str, str, Any]] = [
        ("patch", one, {}),
        ("delete", one, None),
        ("post", f"{one}/sync", {}),
    ]
    calls += [("post", f"{one}/webhook-secret", {}), ("post", URL, {"url": git.url})]
    for method, path, body in calls:
        assert getattr(world.client(Role.VIEWER), method)(path, body).status_code == 403
        if path != URL:
            assert getattr(stranger, method)(path, body).status_code == 404
    assert world.client(Role.VIEWER).get(one).status_code == 200
    assert stranger.get(one).status_code == 404
    assert stranger.get(URL).json()["results"] == []
