"""Syncs of connected repositories with a real Git server: which sources they create, reject and archive."""

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
SOURCES_URL = "/api/v1/custom-sources"
TOKEN = "canary-of-a-git-token-4f7q"
VALID_CODE = """
from drover import Page, Source


class Shop(Source):
    streams = ["orders"]

    def get(self, pagination=None):
        return Page([{"id": 1}])
"""
CODE_WITH_HOST = """
from drover import RestSource, Stream


class Things(RestSource):
    base_url = "https://HOST"
    streams = [Stream("things")]
"""


@pytest.fixture
def git(tmp_path: Path) -> Iterator[GitServer]:
    with git_server(tmp_path) as server:
        yield server


def connect_repository(world: World, git: GitServer, **changes: Any) -> dict[str, Any]:
    answer = world.client().post(URL, {"url": git.url, "path": "sources", **changes})
    assert answer.status_code == 201, answer.content
    repository: dict[str, Any] = answer.json()
    return repository


def sync_repository(world: World, repository: dict[str, Any]) -> dict[str, Any]:
    """Run the sync as a worker would, and return the repository's new state."""
    syncs.sync(org_id=world.org.pk, repository_id=UUID(repository["id"]))
    synced: dict[str, Any] = world.client(Role.VIEWER).get(f"{URL}/{repository['id']}").json()
    return synced


def outcomes_by_path(synced: dict[str, Any]) -> dict[str, str]:
    return {outcome["path"]: outcome["outcome"] for outcome in synced["outcomes"]}


def list_sources(world: World, **filters: Any) -> dict[str, dict[str, Any]]:
    rows = world.client(Role.VIEWER).get(SOURCES_URL, filters).json()["results"]
    return {row["name"]: row for row in rows}


def test_files_become_sources_with_the_commit_and_its_author(world: World, git: GitServer) -> None:
    commit = git.commit(
        "Orders of the shop\n\nAnd more",
        sources__shop_py=VALID_CODE,
        sources___helper_py="x = 1",
        sources__test_shop_py="x = 1",
        sources__README=b"text",
        elsewhere__other_py=VALID_CODE,
    )
    repository = connect_repository(world, git)
    assert repository["status"] == "waiting"
    synced = sync_repository(world, repository)
    assert synced["status"] == "succeeded", synced
    assert (synced["commit"]["id"], synced["commit"]["author"]) == (commit, "Ada Author")
    assert outcomes_by_path(synced) == {"sources/shop.py": "created"}
    (shop,) = list_sources(world).values()
    assert (shop["name"], shop["origin"]) == ("shop", "repository")
    assert (shop["repository_id"], shop["repository_path"]) == (repository["id"], "sources/shop.py")
    assert shop["approved_version"] is None, "a person must approve it"
    version = world.client(Role.VIEWER).get(f"{SOURCES_URL}/{shop['id']}").json()["version"]
    assert (version["commit"], version["author"]) == (commit, "Ada Author")
    assert (version["note"], version["code"]) == ("Orders of the shop", VALID_CODE)
    assert version["created_by"] is None


def test_a_changed_file_creates_a_version_and_an_unchanged_file_does_not(
    world: World, git: GitServer
) -> None:
    git.commit(sources__a_py=VALID_CODE, sources__b_py=VALID_CODE)
    repository = connect_repository(world, git)
    sync_repository(world, repository)
    git.commit("Second", sources__a_py=VALID_CODE + "\n# changed\n")
    synced = sync_repository(world, repository)
    assert outcomes_by_path(synced) == {"sources/a.py": "updated", "sources/b.py": "unchanged"}
    assert {name: row["latest_version"] for name, row in list_sources(world).items()} == {
        "a": 2,
        "b": 1,
    }
    assert outcomes_by_path(sync_repository(world, repository))["sources/a.py"] == "unchanged"


def test_an_invalid_file_is_reported_and_the_valid_files_are_used(
    world: World, git: GitServer
) -> None:
    git.commit(
        sources__good_py=VALID_CODE,
        sources__broken_py="import pandas\n" + VALID_CODE,
        sources__binary_py=b"\xff\xfe\x00",
        sources__large_py=b"#" * 600_000,
        sources__taken_py=VALID_CODE,
    )
    (git.folder / "work/sources/link.py").symlink_to("/etc/passwd")
    git.push()
    world.client().post(SOURCES_URL, {"name": "taken", "code": VALID_CODE})
    synced = sync_repository(world, connect_repository(world, git))
    assert synced["status"] == "partly"
    messages = {
        outcome["path"]: outcome["message"]
        for outcome in synced["outcomes"]
        if outcome["outcome"] == "failed"
    }
    assert messages["sources/broken.py"] == "Line 1: A custom source cannot import pandas."
    assert "UTF-8" in messages["sources/binary.py"]
    assert "larger" in messages["sources/large.py"]
    assert "symbolic link" in messages["sources/link.py"]
    assert "has the name taken" in messages["sources/taken.py"]
    assert outcomes_by_path(synced)["sources/good.py"] == "created"
    assert set(list_sources(world)) == {"good", "taken"}


def test_an_invalid_change_of_a_file_does_not_change_the_source(
    world: World, git: GitServer
) -> None:
    git.commit(sources__a_py=VALID_CODE)
    repository = connect_repository(world, git)
    sync_repository(world, repository)
    git.commit(sources__a_py="def broken(:")
    assert outcomes_by_path(sync_repository(world, repository)) == {"sources/a.py": "failed"}
    (row,) = list_sources(world).values()
    assert (row["latest_version"], row["archived"]) == (1, False)


def test_the_source_of_a_deleted_file_is_archived_until_the_file_returns(
    world: World, git: GitServer
) -> None:
    git.commit(sources__a_py=VALID_CODE, sources__b_py=VALID_CODE)
    repository = connect_repository(world, git)
    sync_repository(world, repository)
    git.commit(sources__a_py=None)
    assert outcomes_by_path(sync_repository(world, repository))["sources/a.py"] == "archived"
    assert set(list_sources(world)) == {"b"}
    assert set(list_sources(world, archived=True)) == {"a"}
    assert outcomes_by_path(sync_repository(world, repository))["sources/a.py"] == "archived"
    git.commit(sources__a_py=VALID_CODE)
    assert outcomes_by_path(sync_repository(world, repository))["sources/a.py"] == "unchanged"
    assert set(list_sources(world)) == {"a", "b"}


def test_a_sync_does_not_restore_a_source_that_a_person_archived(
    world: World, git: GitServer
) -> None:
    git.commit(sources__a_py=VALID_CODE)
    repository = connect_repository(world, git)
    sync_repository(world, repository)
    pk = list_sources(world)["a"]["id"]
    world.client().patch(f"{SOURCES_URL}/{pk}", {"archived": True})
    sync_repository(world, repository)
    assert set(list_sources(world, archived=True)) == {"a"}


def test_a_missing_folder_fails_the_sync_and_archives_nothing(world: World, git: GitServer) -> None:
    git.commit(sources__a_py=VALID_CODE)
    repository = connect_repository(world, git)
    sync_repository(world, repository)
    git.commit(sources__a_py=None, other__a_py=VALID_CODE)
    synced = sync_repository(world, repository)
    assert synced["status"] == "failed"
    assert synced["message"] == "The branch has no folder or file sources."
    assert set(list_sources(world)) == {"a"}


def test_code_from_a_repository_can_be_edited_only_after_disconnecting_it(
    world: World, git: GitServer
) -> None:
    git.commit(sources__a_py=VALID_CODE)
    repository = connect_repository(world, git)
    sync_repository(world, repository)
    path = f"{SOURCES_URL}/{list_sources(world)['a']['id']}"
    answer = world.client().patch(path, {"code": VALID_CODE + "# mine"})
    assert (answer.status_code, answer.json()["code"]) == (409, "from_repository")
    assert world.client().post(f"{path}/versions/1/restore").status_code == 409
    assert world.client().post(f"{path}/versions/1/approve").status_code == 200
    assert world.client().delete(f"{URL}/{repository['id']}").status_code == 204
    assert world.client().patch(path, {"code": VALID_CODE + "# mine"}).json()["latest_version"] == 2


def test_with_automatic_approval_only_versions_without_new_hosts_are_approved(
    world: World, git: GitServer
) -> None:
    git.commit(sources__a_py=CODE_WITH_HOST.replace("HOST", "a.example.com"))
    repository = connect_repository(world, git, approves=True)
    sync_repository(world, repository)
    path = f"{SOURCES_URL}/{list_sources(world)['a']['id']}"
    assert list_sources(world)["a"]["approved_version"] is None, (
        "a person must approve the first version"
    )
    world.client().post(f"{path}/versions/1/approve")
    git.commit(sources__a_py=CODE_WITH_HOST.replace("HOST", "a.example.com") + "# same hosts\n")
    sync_repository(world, repository)
    assert list_sources(world)["a"]["approved_version"] == 2
    git.commit(sources__a_py=CODE_WITH_HOST.replace("HOST", "b.example.com"))
    synced = sync_repository(world, repository)
    assert list_sources(world)["a"]["approved_version"] == 2
    assert synced["outcomes"][0]["message"] == "The version waits for approval."


def test_a_token_is_used_for_the_sync_and_never_returned_or_logged(
    world: World, git: GitServer
) -> None:
    git.commit(sources__a_py=VALID_CODE)
    git.token = TOKEN
    repository = connect_repository(world, git)
    synced = sync_repository(world, repository)
    assert (synced["status"], synced["token"]) == ("failed", {"set": False, "last4": ""})
    assert "token" in synced["message"]
    changed = world.client().patch(f"{URL}/{repository['id']}", {"token": TOKEN})
    assert changed.json()["token"] == {"set": True, "last4": TOKEN[-4:]}
    synced = sync_repository(world, repository)
    assert synced["status"] == "succeeded", synced
    with world.scope():
        rows = [
            *Repository.objects.for_org(world.org).values(),
            *AuditEvent.objects.for_org(world.org).values(),
        ]
    job_arguments = list(ProcrastinateJob.objects.values_list("args"))
    stored_texts = f"{rows} {job_arguments} {synced} {changed.content!r}"
    assert TOKEN not in stored_texts
    assert repository["webhook_secret"] not in stored_texts


def test_another_url_requires_the_token_again(world: World, git: GitServer) -> None:
    repository = connect_repository(world, git, token=TOKEN)
    changes = {"url": git.url.replace("repo", "other")}
    answer = world.client().patch(f"{URL}/{repository['id']}", changes)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "token"
    assert (
        world.client().patch(f"{URL}/{repository['id']}", {**changes, "token": ""}).status_code
        == 200
    )


@pytest.mark.parametrize(
    ("changes", "field"),
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
def test_an_invalid_field_is_rejected_with_its_name(
    world: World, changes: dict[str, Any], field: str
) -> None:
    answer = world.client().post(URL, {"url": "https://git.example.com/x", **changes})
    assert answer.status_code == 422, answer.content
    assert {error["field"] for error in answer.json()["errors"]} == {field}


def test_the_same_folder_cannot_be_connected_twice(world: World, git: GitServer) -> None:
    connect_repository(world, git)
    answer = world.client().post(URL, {"url": git.url, "path": "/sources/"})
    assert (answer.status_code, answer.json()["code"]) == (409, "connected")


def test_a_sync_whose_result_cannot_be_saved_is_recorded_as_failed(
    world: World, git: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    git.commit(sources__a_py=VALID_CODE)
    repository = connect_repository(world, git)

    def fail_to_write(*_: Any, **__: Any) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(edits, "add", fail_to_write)
    with pytest.raises(RuntimeError):
        syncs.sync(org_id=world.org.pk, repository_id=UUID(repository["id"]))
    synced = world.client().get(f"{URL}/{repository['id']}").json()
    assert (synced["status"], synced["outcomes"]) == ("failed", [])
    assert "try again" in synced["message"]


def test_a_sync_saves_nothing_if_a_later_sync_finished_first(
    world: World, git: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    git.commit(sources__a_py=VALID_CODE)
    repository = connect_repository(world, git)
    read_repository = engine.read_repository

    def read_while_another_sync_runs(**arguments: Any) -> Any:
        files = read_repository(**arguments)
        monkeypatch.setattr(engine, "read_repository", read_repository)
        git.commit("Newer", sources__a_py=VALID_CODE + "# newer\n")
        sync_repository(world, repository)  # a complete second sync
        return files

    monkeypatch.setattr(engine, "read_repository", read_while_another_sync_runs)
    synced = sync_repository(world, repository)
    assert synced["commit"]["subject"] == "Newer"
    assert list_sources(world)["a"]["latest_version"] == 1
    version = (
        world.client().get(f"{SOURCES_URL}/{list_sources(world)['a']['id']}").json()["version"]
    )
    assert version["code"].endswith("# newer\n")


def test_two_syncs_at_once_create_one_source(committed_db: None, git: GitServer) -> None:
    world = make_world()
    git.commit(sources__a_py=VALID_CODE)
    repository = connect_repository(world, git)
    failures: list[BaseException] = []

    def run_sync() -> None:
        try:
            syncs.sync(org_id=world.org.pk, repository_id=UUID(repository["id"]))
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run_sync) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    with world.scope():
        assert CustomSource.objects.for_org(world.org).count() == 1
        assert CustomSourceVersion.objects.for_org(world.org).count() == 1
        assert Repository.objects.for_org(world.org).get().status == "succeeded"


def count_queued_syncs(repository: dict[str, Any]) -> int:
    queued_jobs = ProcrastinateJob.objects.filter(task_name=repositories.SYNC_TASK, status="todo")
    return sum(job.args["repository_id"] == repository["id"] for job in queued_jobs)


def test_several_requests_for_a_sync_queue_one_job(world: World, git: GitServer) -> None:
    repository = connect_repository(world, git)
    for _ in range(3):
        assert world.client().post(f"{URL}/{repository['id']}/sync").status_code == 202
    assert count_queued_syncs(repository) == 1
    with world.scope():
        events = AuditEvent.objects.for_org(world.org).filter(action="repository.sync")
        assert events.count() == 1


def test_a_sync_of_a_dead_worker_is_queued_again(committed_db: None, git: GitServer) -> None:
    world = make_world()
    git.commit(sources__a_py=VALID_CODE)
    repository = connect_repository(world, git)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET status = 'doing'")
    with world.scope():
        Repository.objects.for_org(world.org).update(status="running", claim=uuid4())
    assert count_queued_syncs(repository) == 0
    assert jobs.remove_jobs_of_dead_workers(reconciler.WORKER_TIMEOUT) >= 1
    assert count_queued_syncs(repository) == 1
    assert sync_repository(world, repository)["status"] == "succeeded"


def test_listing_many_repositories_takes_as_many_queries_as_listing_one(
    world: World, django_assert_num_queries: Any, django_assert_max_num_queries: Any
) -> None:
    client = world.client(Role.VIEWER)
    body = {"url": "https://git.example.com/x"}
    world.client().post(URL, body)
    with django_assert_max_num_queries(12) as captured:
        client.get(URL)
    queries = len(captured)  # the next requests empty `captured`
    for n in range(20):
        world.client().post(URL, {**body, "path": f"folder-{n}"})
    with django_assert_num_queries(queries):
        assert len(client.get(URL).json()["results"]) == 21


def test_a_sync_of_a_suspended_org_does_not_connect_to_the_server(
    world: World, git: GitServer
) -> None:
    git.commit(sources__a_py=VALID_CODE)
    repository = connect_repository(world, git)
    with world.scope():
        assert Org.objects.filter(pk=world.org.pk).update(suspended_at=timezone.now()) == 1
    syncs.sync(org_id=world.org.pk, repository_id=UUID(repository["id"]))
    assert git.requested_paths == []


def test_a_viewer_may_only_read_a_repository_and_a_stranger_gets_404(
    world: World, git: GitServer
) -> None:
    repository = connect_repository(world, git)
    repository_path = f"{URL}/{repository['id']}"
    stranger = make_world("Other").client()
    calls: list[tuple[str, str, Any]] = [
        ("patch", repository_path, {}),
        ("delete", repository_path, None),
        ("post", f"{repository_path}/sync", {}),
    ]
    calls += [("post", f"{repository_path}/webhook-secret", {}), ("post", URL, {"url": git.url})]
    for method, path, body in calls:
        assert getattr(world.client(Role.VIEWER), method)(path, body).status_code == 403
        if path != URL:
            assert getattr(stranger, method)(path, body).status_code == 404
    assert world.client(Role.VIEWER).get(repository_path).status_code == 200
    assert stranger.get(repository_path).status_code == 404
    assert stranger.get(URL).json()["results"] == []
