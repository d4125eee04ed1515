"""Running sandboxes all have different users, also in different processes and containers."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from apps.engine.failures import SourceError
from apps.engine.sandbox import claims, users


def test_two_sandboxes_of_one_process_have_different_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "UID_COUNT", 2)
    first, second = users.claim_user_id(tmp_path), users.claim_user_id(tmp_path)
    assert {first.name, second.name} == {str(users.FIRST_UID), str(users.FIRST_UID + 1)}
    with pytest.raises(SourceError, match="Too many sandboxes"):
        users.claim_user_id(tmp_path)
    claims.release(first)
    assert users.claim_user_id(tmp_path) == first


def claim_user(folder: Path, connection: Connection) -> None:
    connection.send(users.claim_user_id(folder).name)
    connection.recv()


def test_a_user_of_another_process_is_free_after_that_process_exits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "UID_COUNT", 1)
    own_end, other_end = multiprocessing.Pipe()
    other_process = multiprocessing.get_context("fork").Process(
        target=claim_user, args=(tmp_path, other_end)
    )
    other_process.start()
    assert own_end.recv() == str(users.FIRST_UID)
    with pytest.raises(SourceError):
        users.claim_user_id(tmp_path)
    other_process.kill()
    other_process.join()
    claims.release(users.claim_user_id(tmp_path))
