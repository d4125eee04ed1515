"""A sync of a hostile or missing repository reports the reason, connects to no other server and runs no code."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from apps.connectors import engine
from apps.engine import EngineSupervisor, repository
from apps.engine.sandbox.limits import BrokenOutput
from tests.connectors.test_repositories import (
    URL,
    VALID_CODE,
    connect_repository,
    list_sources,
    outcomes_by_path,
    sync_repository,
)
from tests.connectors.test_repositories import git as git
from tests.git_server import GitServer
from tests.world import World

FAILING_SETTINGS = {
    "no such branch": ({"branch": "nope"}, "no branch nope; it has main"),
    "no server": ({"url": "http://127.0.0.1:9/x.git"}, "no address accepts"),
    "no folder": ({"path": "none"}, "no folder or file none"),
}


@pytest.mark.parametrize("name", FAILING_SETTINGS)
def test_a_failed_sync_reports_the_reason(name: str, world: World, git: GitServer) -> None:
    changes, message = FAILING_SETTINGS[name]
    git.commit(sources__a_py=VALID_CODE)
    synced = sync_repository(world, connect_repository(world, git, **changes))
    assert synced["status"] == "failed"
    assert message in synced["message"]


def test_a_redirect_to_another_host_is_not_followed(world: World, git: GitServer) -> None:
    git.commit(sources__a_py=VALID_CODE)
    git.redirect = "http://127.0.0.1:9"
    synced = sync_repository(world, connect_repository(world, git))
    assert synced["status"] == "failed"
    assert "allow-list" in synced["message"]


def test_a_server_on_a_private_network_is_not_contacted_if_private_networks_are_not_allowed(
    world: World, git: GitServer, settings: Any
) -> None:
    git.commit(sources__a_py=VALID_CODE)
    repository = connect_repository(world, git)
    settings.ALLOW_PRIVATE_NETWORKS = False
    answer = world.client().post(URL, {"url": git.url, "path": "x"})
    assert answer.json()["errors"][0]["field"] == "url", "plain HTTP is rejected"
    git.requested_paths.clear()
    synced = sync_repository(world, repository)
    assert synced["status"] == "failed"
    assert git.requested_paths == []


def test_a_huge_repository_is_rejected_unless_its_server_can_omit_large_files(
    world: World, git: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = EngineSupervisor(preload=("tests.connectors.small_network",))
    monkeypatch.setattr(engine, "supervisor", lambda: supervisor)
    git.commit(sources__a_py=VALID_CODE)
    (git.folder / "work/large.bin").write_bytes(os.urandom(6 << 20))
    git.push()
    repository = connect_repository(world, git)
    try:
        synced = sync_repository(world, repository)
        assert synced["status"] == "failed"
        assert "bytes over the network" in synced["message"]
        config = ["config", "uploadpack.allowFilter", "true"]
        subprocess.run(["git", "-C", str(git.folder / "repo.git"), *config], check=True)
        assert sync_repository(world, repository)["status"] == "succeeded", (
            "the server supports filters, so the large file is omitted"
        )
    finally:
        supervisor.close()


def test_a_sync_runs_no_code_of_the_repository(
    world: World, git: GitServer, tmp_path: Path
) -> None:
    marker = tmp_path / "ran"
    code_that_writes_marker = (
        f"import pathlib\npathlib.Path({str(marker)!r}).write_text('x')\n" + VALID_CODE
    )
    git.commit(
        sources__a_py=code_that_writes_marker,
        setup_py=code_that_writes_marker,
        _gitattributes="*.py filter=evil diff=evil\n",
        _gitmodules=f'[submodule "x"]\n path = sources/x.py\n url = ext::sh -c "touch {marker}"\n',
    )
    synced = sync_repository(world, connect_repository(world, git))
    assert outcomes_by_path(synced) == {"sources/a.py": "created"}
    assert not marker.exists()


def test_paths_that_point_outside_the_folder_create_no_source(world: World, git: GitServer) -> None:
    """The tree has entries that git would refuse to check out: `..`, `.git`, and names that contain a slash."""
    git.commit(sources__a_py=VALID_CODE)
    blob = git.git("rev-parse", "HEAD:sources/a.py")
    tree_content = b"".join(
        b"100644 " + name + b"\0" + bytes.fromhex(blob)
        for name in (b"../../evil.py", b"..", b".git", b"x/../../y.py")
    )
    inner_tree = subprocess.run(
        ["git", "hash-object", "-w", "-t", "tree", "--stdin", "--literally"],
        cwd=git.folder / "work", input=tree_content, capture_output=True, check=True,
    ).stdout.decode().strip()  # fmt: skip
    outer_tree = subprocess.run(
        ["git", "hash-object", "-w", "-t", "tree", "--stdin", "--literally"],
        cwd=git.folder / "work",
        input=b"40000 sources\0" + bytes.fromhex(inner_tree), capture_output=True, check=True,
    ).stdout.decode().strip()  # fmt: skip
    commit = git.git("commit-tree", outer_tree, "-m", "evil")
    git.git("push", "-qf", "origin", f"{commit}:refs/heads/main")
    files_before = set(git.folder.rglob("*.py"))
    synced = sync_repository(world, connect_repository(world, git))
    assert synced["status"] == "partly"
    (outcome,) = synced["outcomes"]
    assert outcome["path"] == "sources/x/../../y.py"
    assert outcome["message"] == "Its name is not a valid file name."
    assert set(git.folder.rglob("*.py")) == files_before
    assert list_sources(world) == {}


def test_a_commit_with_invalid_characters_is_read_and_stored(world: World, git: GitServer) -> None:
    """The author and the message contain NUL, which PostgreSQL cannot store, and invalid UTF-8."""
    git.commit(sources__a_py=VALID_CODE, **{"sources__b\x01_py": VALID_CODE})
    tree_id = git.git("rev-parse", "HEAD^{tree}")
    author = b"A\0da \xff <ada@example.com> 1795800000 +0000"
    commit_content = b"tree %s\nauthor %s\ncommitter %s\n\nSub\0ject\xff\n" % (
        tree_id.encode(),
        author,
        author,
    )
    commit_id = subprocess.run(
        ["git", "hash-object", "-w", "-t", "commit", "--stdin", "--literally"],
        cwd=git.folder / "work", input=commit_content, capture_output=True, check=True,
    ).stdout.decode().strip()  # fmt: skip
    git.git("push", "-qf", "origin", f"{commit_id}:refs/heads/main")
    synced = sync_repository(world, connect_repository(world, git))
    assert synced["status"] in ("succeeded", "partly"), synced
    assert synced["commit"]["id"] == commit_id
    assert "\0" not in json.dumps(synced)
    assert outcomes_by_path(synced)["sources/a.py"] == "created"


COMMIT = {
    "commit": "a" * 40,
    "author": "Ada",
    "subject": "s",
    "committed_at": "2026-11-27T10:00:00+00:00",
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"committed_at": "yesterday"}, {"committed_at": None}),
        ({"committed_at": 7}, {"committed_at": None}),
        ({"author": "A\0" * 300}, {"author": ("A␀" * 300)[:200]}),
        ({"commit": "no id"}, None),
        ({"commit": ""}, None),
    ],
)
def test_the_commit_from_the_reader_process_is_validated(
    changes: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    if expected is None:
        with pytest.raises(BrokenOutput):
            repository.parse_commit({**COMMIT, **changes})
    else:
        assert repository.parse_commit({**COMMIT, **changes}) == {**COMMIT, **expected}
