"""Connected Git repositories against a real Git server: what a sync makes, refuses, archives, and never runs."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from apps.connectors import engine, repositories
from apps.connectors.models import CustomSource, CustomSourceVersion, Repository
from apps.orgs.models import AuditEvent, Org
from apps.orgs.roles import Role
from apps.runs import queue, reconciler
from tests.git_server import GitServer, git_server
from tests.world import World, make_world, new_client

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
    """What a worker would do, and how the repository is then."""
    repositories.sync(org_id=world.org.pk, repository_id=UUID(made["id"]))
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


def test_a_file_that_cannot_be_used_is_told_and_the_others_are_taken(
    world: World, git: GitServer
) -> None:
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
    assert "is called taken" in said["sources/taken.py"]
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


FAILURES = {
    "no such branch": ({"branch": "nope"}, "no branch nope; it has main"),
    "nobody there": ({"url": "http://127.0.0.1:9/x.git"}, "nothing answers"),
    "no repository": ({"path": "none"}, "no folder or file none"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_sync_that_fails_says_why(name: str, world: World, git: GitServer) -> None:
    changes, says = FAILURES[name]
    git.commit(sources__a_py=GOOD)
    shown = sync(world, connect(world, git, **changes))
    assert shown["status"] == "failed"
    assert says in shown["message"]


def test_a_redirect_to_another_host_is_not_followed(world: World, git: GitServer) -> None:
    git.commit(sources__a_py=GOOD)
    git.redirect = "http://127.0.0.1:9"
    shown = sync(world, connect(world, git))
    assert shown["status"] == "failed"
    assert "allow-list" in shown["message"]


def test_a_server_on_a_private_network_is_reached_only_where_that_is_allowed(
    world: World, git: GitServer, settings: Any
) -> None:
    git.commit(sources__a_py=GOOD)
    made = connect(world, git)
    settings.ALLOW_PRIVATE_NETWORKS = False
    answer = world.client().post(URL, {"url": git.url, "path": "x"})
    assert answer.json()["errors"][0]["field"] == "url", "plain http"
    git.asked.clear()
    shown = sync(world, made)
    assert shown["status"] == "failed"
    assert git.asked == []


def test_a_huge_repository_is_refused_and_large_files_beside_it_are_not_fetched(
    world: World, git: GitServer
) -> None:
    git.commit(sources__a_py=GOOD)
    (git.folder / "work/large.bin").write_bytes(os.urandom(120 << 20))
    git.push()
    made = connect(world, git)
    shown = sync(world, made)
    assert shown["status"] == "failed"
    assert "bytes over the network" in shown["message"]
    config = ["config", "uploadpack.allowFilter", "true"]
    subprocess.run(["git", "-C", str(git.folder / "repo.git"), *config], check=True)
    assert sync(world, made)["status"] == "succeeded", "a server that can leave them out does"


def test_nothing_of_a_repository_is_run(world: World, git: GitServer, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    evil = f"import pathlib\npathlib.Path({str(mark)!r}).write_text('x')\n" + GOOD
    git.commit(
        sources__a_py=evil,
        setup_py=evil,
        _gitattributes="*.py filter=evil diff=evil\n",
        _gitmodules=f'[submodule "x"]\n path = sources/x.py\n url = ext::sh -c "touch {mark}"\n',
    )
    shown = sync(world, connect(world, git))
    assert outcomes(shown) == {"sources/a.py": "created"}
    assert not mark.exists()


def test_names_and_trees_that_lead_elsewhere_are_only_text(world: World, git: GitServer) -> None:
    """A tree no git would check out: entries called `..` and `.git`, and one with a slash."""
    git.commit(sources__a_py=GOOD)
    blob = git.git("rev-parse", "HEAD:sources/a.py")
    tree = b"".join(
        b"100644 " + name + b"\0" + bytes.fromhex(blob)
        for name in (b"../../evil.py", b"..", b".git", b"x/../../y.py")
    )
    made_tree = subprocess.run(
        ["git", "hash-object", "-w", "-t", "tree", "--stdin", "--literally"],
        cwd=git.folder / "work", input=tree, capture_output=True, check=True,
    ).stdout.decode().strip()  # fmt: skip
    outer = subprocess.run(
        ["git", "hash-object", "-w", "-t", "tree", "--stdin", "--literally"],
        cwd=git.folder / "work",
        input=b"40000 sources\0" + bytes.fromhex(made_tree), capture_output=True, check=True,
    ).stdout.decode().strip()  # fmt: skip
    commit = git.git("commit-tree", outer, "-m", "evil")
    git.git("push", "-qf", "origin", f"{commit}:refs/heads/main")
    before = set(git.folder.rglob("*.py"))
    shown = sync(world, connect(world, git))
    assert shown["status"] == "partly"
    (other,) = shown["outcomes"]
    assert other["path"] == "sources/x/../../y.py"
    assert other["message"] == "Its name is no name of a file."
    assert set(git.folder.rglob("*.py")) == before
    assert sources(world) == {}


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
        sync(world, made)  # a second one, from its beginning to its end
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
            repositories.sync(org_id=world.org.pk, repository_id=UUID(made["id"]))
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
    assert queue.remove_zombies(reconciler.SILENT_WORKER) >= 1
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
    queries = len(one)  # the requests that follow begin the log anew
    for n in range(20):
        world.client().post(URL, {**make, "path": f"folder-{n}"})
    with django_assert_num_queries(queries):
        assert len(client.get(URL).json()["results"]) == 21


def push(made: dict[str, Any], ref: str = "refs/heads/main", **headers: str) -> Any:
    body = json.dumps({"ref": ref})
    path = "/api/v1/" + made["webhook_url"].partition("/api/v1/")[2]
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return new_client().generic("POST", path, body, "application/json", headers=sent)


def signature(secret: str, ref: str = "refs/heads/main") -> str:
    body = json.dumps({"ref": ref}).encode()
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("scheme", ["github", "bitbucket", "gitlab"])
def test_a_signed_webhook_asks_for_a_sync(scheme: str, world: World, git: GitServer) -> None:
    made = connect(world, git)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs")
    secret = made["webhook_secret"]
    headers = {
        "github": {"X_Hub_Signature_256": signature(secret)},
        "bitbucket": {"X_Hub_Signature": signature(secret)},
        "gitlab": {"X_Gitlab_Token": secret},
    }[scheme]
    answer = push(made, **headers)
    assert (answer.status_code, answer.json()) == (202, {"sync": True})
    assert waiting(made) == 1


def test_a_webhook_of_another_branch_asks_for_none(world: World, git: GitServer) -> None:
    made = connect(world, git)
    other = "refs/heads/other"
    answer = push(made, other, X_Hub_Signature_256=signature(made["webhook_secret"], other))
    assert answer.json() == {"sync": False}


def test_a_webhook_without_the_right_signature_finds_nothing(world: World, git: GitServer) -> None:
    made, secret = connect(world, git), "wrong"
    unknown = {**made, "webhook_url": made["webhook_url"][:-36] + str(uuid4())}
    answers = [
        push(made),
        push(made, X_Hub_Signature_256=signature(secret)),
        push(made, X_Hub_Signature_256="sha256="),
        push(made, X_Hub_Signature_256="sha1=" + signature(made["webhook_secret"])[7:]),
        push(made, X_Gitlab_Token=secret),
        push(made, X_Gitlab_Token=""),
        push(made, X_Gitlab_Token="é"),
        push(unknown, X_Gitlab_Token=made["webhook_secret"]),
    ]
    assert {answer.status_code for answer in answers} == {404}
    renewed = world.client().post(f"{URL}/{made['id']}/webhook-secret").json()["webhook_secret"]
    assert push(made, X_Gitlab_Token=made["webhook_secret"]).status_code == 404
    assert push(made, X_Gitlab_Token=renewed).status_code == 202


def test_a_webhook_of_many_megabytes_is_refused(world: World, git: GitServer) -> None:
    made = connect(world, git)
    path = "/api/v1/" + made["webhook_url"].partition("/api/v1/")[2]
    secret = {"X-Gitlab-Token": made["webhook_secret"]}
    answer = new_client().generic(
        "POST", path, "[" + " " * (3 << 20) + "]", "application/json", headers=secret
    )
    assert answer.status_code == 413


def test_a_suspended_org_reads_no_repository(world: World, git: GitServer) -> None:
    git.commit(sources__a_py=GOOD)
    made = connect(world, git)
    with world.scope():
        assert Org.objects.filter(pk=world.org.pk).update(suspended_at=timezone.now()) == 1
    repositories.sync(org_id=world.org.pk, repository_id=UUID(made["id"]))
    assert git.asked == []


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
