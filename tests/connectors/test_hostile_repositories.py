"""Hostile or missing repositories and servers: a sync reports why, connects to nothing else and runs no code."""

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
from tests.connectors.test_repositories import GOOD, URL, connect, outcomes, sources, sync
from tests.connectors.test_repositories import git as git
from tests.git_server import GitServer
from tests.world import World

FAILURES = {
    "no such branch": ({"branch": "nope"}, "no branch nope; it has main"),
    "nobody there": ({"url": "http://127.0.0.1:9/x.git"}, "no address accepts"),
    "no repository": ({"path": "none"}, "no folder or file none"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failed_sync_has_a_reason(name: str, world: World, git: GitServer) -> None:
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
    git.requested_paths.clear()
    shown = sync(world, made)
    assert shown["status"] == "failed"
    assert git.requested_paths == []


def test_a_huge_repository_is_refused_and_large_files_elsewhere_are_not_fetched(
    world: World, git: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = EngineSupervisor(preload=("tests.connectors.small_network",))
    monkeypatch.setattr(engine, "supervisor", lambda: supervisor)
    git.commit(sources__a_py=GOOD)
    (git.folder / "work/large.bin").write_bytes(os.urandom(6 << 20))
    git.push()
    made = connect(world, git)
    try:
        shown = sync(world, made)
        assert shown["status"] == "failed"
        assert "bytes over the network" in shown["message"]
        config = ["config", "uploadpack.allowFilter", "true"]
        subprocess.run(["git", "-C", str(git.folder / "repo.git"), *config], check=True)
        assert sync(world, made)["status"] == "succeeded", "a server that can leave them out does"
    finally:
        supervisor.close()


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
    """Create a tree that git would refuse to check out: entries named `..` and `.git`, and one with a slash."""
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
    assert other["message"] == "Its name is not a valid file name."
    assert set(git.folder.rglob("*.py")) == before
    assert sources(world) == {}


def test_a_commit_of_odd_bytes_is_only_text(world: World, git: GitServer) -> None:
    """NUL, which PostgreSQL cannot store, and bytes of no encoding, in author, message and file name."""
    git.commit(sources__a_py=GOOD, **{"sources__b\x01_py": GOOD})
    tree = git.git("rev-parse", "HEAD^{tree}")
    who = b"A\0da \xff <ada@example.com> 1795800000 +0000"
    commit = b"tree %s\nauthor %s\ncommitter %s\n\nSub\0ject\xff\n" % (tree.encode(), who, who)
    made = subprocess.run(
        ["git", "hash-object", "-w", "-t", "commit", "--stdin", "--literally"],
        cwd=git.folder / "work", input=commit, capture_output=True, check=True,
    ).stdout.decode().strip()  # fmt: skip
    git.git("push", "-qf", "origin", f"{made}:refs/heads/main")
    shown = sync(world, connect(world, git))
    assert shown["status"] in ("succeeded", "partly"), shown
    assert shown["commit"]["id"] == made
    assert "\0" not in json.dumps(shown)
    assert outcomes(shown)["sources/a.py"] == "created"


READ = {
    "commit": "a" * 40,
    "author": "Ada",
    "subject": "s",
    "committed_at": "2026-11-27T10:00:00+00:00",
}


@pytest.mark.parametrize(
    ("wrong", "believed"),
    [
        ({"committed_at": "yesterday"}, {"committed_at": None}),
        ({"committed_at": 7}, {"committed_at": None}),
        ({"author": "A\0" * 300}, {"author": ("A␀" * 300)[:200]}),
        ({"commit": "no id"}, None),
        ({"commit": ""}, None),
    ],
)
def test_the_readers_commit_is_validated(
    wrong: dict[str, Any], believed: dict[str, Any] | None
) -> None:
    if believed is None:
        with pytest.raises(BrokenOutput):
            repository.parse_commit({**READ, **wrong})
    else:
        assert repository.parse_commit({**READ, **wrong}) == {**READ, **believed}
