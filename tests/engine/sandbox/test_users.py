"""No two running sandboxes have the same user, whichever process or container started them."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from apps.engine.failures import SourceError
from apps.engine.sandbox import claims, users


def test_two_of_one_process_are_different(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "UID_COUNT", 2)
    first, second = users.claim_user_id(tmp_path), users.claim_user_id(tmp_path)
    assert {first.name, second.name} == {str(users.FIRST_UID), str(users.FIRST_UID + 1)}
    with pytest.raises(SourceError, match="Too many sandboxes"):
        users.claim_user_id(tmp_path)
    claims.release(first)
    assert users.claim_user_id(tmp_path) == first


def hold(folder: Path, told: Connection) -> None:
    told.send(users.claim_user_id(folder).name)
    told.recv()


def test_what_another_process_has_is_taken_until_it_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "UID_COUNT", 1)
    ours, theirs = multiprocessing.Pipe()
    other = multiprocessing.get_context("fork").Process(target=hold, args=(tmp_path, theirs))
    other.start()
    assert ours.recv() == str(users.FIRST_UID)
    with pytest.raises(SourceError):
        users.claim_user_id(tmp_path)
    other.kill()
    other.join()
    claims.release(users.claim_user_id(tmp_path))
