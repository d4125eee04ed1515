"""Drafts of objects: a store shows an object that is written in parts only when it is complete."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from apps.engine.contract import StorageRoot
from apps.engine.failures import DestinationError
from apps.engine.stores import Store, gcs, s3
from apps.engine.stores.local import LocalStore
from apps.engine.stores.opening import open_root
from tests.engine.destinations.servers import BUCKET, Servers, s3_client

OLD, KEY, SCRATCH = b"old content", "files/orders.csv", "uploads/1"
PART = 5 << 20  # S3 accepts no smaller parts


def local_store(servers: Servers, folder: Path) -> Store:
    return LocalStore(folder, "org/1")


def s3_store(servers: Servers, folder: Path) -> Store:
    options = {
        "access_key": "test-key",
        "secret_key": "test-secret",
        "endpoint_override": servers.s3_url,
    }
    return open_root(StorageRoot(f"s3://{BUCKET}", uuid4().hex, options))


def gcs_store(servers: Servers, folder: Path) -> Store:
    options = {"endpoint_override": servers.gcs_url}
    return open_root(StorageRoot(f"gs://{BUCKET}", uuid4().hex, options))


@pytest.fixture(params=[local_store, s3_store, gcs_store], ids=["local", "s3", "gcs"])
def store(
    request: pytest.FixtureRequest,
    servers: Servers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Store]:
    monkeypatch.setattr(s3, "PART_BYTES", PART)
    monkeypatch.setattr(gcs, "PART_BYTES", PART)
    open_store: Callable[[Servers, Path], Store] = request.param
    opened = open_store(servers, tmp_path)
    yield opened
    opened.close()


def keys(store: Store) -> list[str]:
    return sorted(entry.key for entry in store.entries("files/"))


@pytest.mark.parametrize("size", [0, 3, PART, 2 * PART + 3], ids=["empty", "small", "one", "some"])
def test_an_object_appears_when_its_draft_is_committed(store: Store, size: int) -> None:
    data = bytes(i % 251 for i in range(1000)) * (size // 1000 + 1)
    data = data[:size]
    store.write(KEY, OLD)
    draft = store.draft(KEY, SCRATCH)
    for start in range(0, size, 1 << 20):
        draft.write(data[start : start + (1 << 20)])
    draft.flush()
    assert store.read(KEY) == OLD
    draft.commit()
    draft.discard()
    assert store.read(KEY) == data
    assert keys(store) == [KEY]


@pytest.mark.parametrize("size", [3, PART + 3], ids=["small", "large"])
def test_a_discarded_draft_leaves_the_old_object(store: Store, size: int) -> None:
    store.write(KEY, OLD)
    draft = store.draft(KEY, SCRATCH)
    draft.write(b"x" * size)
    draft.flush()
    draft.discard()
    draft.discard()
    assert store.read(KEY) == OLD
    assert keys(store) == [KEY]


def test_two_drafts_of_one_object_do_not_mix(store: Store) -> None:
    contents = [bytes([i]) * (PART + 1) for i in (1, 2)]
    drafts = [store.draft(KEY, f"uploads/{i}") for i in (1, 2)]
    for draft, data in zip(drafts, contents, strict=True):
        draft.write(data)
    for draft in drafts:
        draft.commit()
        draft.discard()
    assert store.read(KEY) == contents[1]


def test_a_lost_draft_of_a_folder_is_removed_later(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, "org/1")
    store.draft(KEY, SCRATCH).write(b"lost")
    now = datetime.now(UTC)
    store.discard_drafts("files/", "uploads/", before=now - timedelta(hours=1))
    assert [entry.key for entry in store.entries("uploads/")] == [SCRATCH]
    store.discard_drafts("files/", "uploads/", before=now + timedelta(hours=1))
    assert list(store.entries("uploads/")) == []


def test_a_lost_draft_of_a_bucket_is_removed_later(servers: Servers, tmp_path: Path) -> None:
    store = s3_store(servers, tmp_path)
    store.draft(KEY, SCRATCH).write(b"x" * s3.PART_BYTES)
    client = s3_client(servers.s3_url)

    def uploads() -> list[str]:
        answer = client.list_multipart_uploads(Bucket=BUCKET)
        return [
            upload["Key"]
            for upload in answer.get("Uploads", ())
            if upload["Key"] == store.full_key(KEY)
        ]

    now = datetime.now(UTC)
    store.discard_drafts("files/", "uploads/", before=datetime(2000, 1, 1, tzinfo=UTC))
    assert uploads() == [store.full_key(KEY)]
    store.discard_drafts("files/", "uploads/", before=now + timedelta(days=20_000))
    assert uploads() == []


def test_a_full_disk_is_a_failure_of_the_destination(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(tmp_path, "org/1")
    store.write(KEY, OLD)
    draft = store.draft(KEY, SCRATCH)

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    draft.write(b"new")
    with pytest.raises(DestinationError, match="disk is full"):
        draft.flush()
    draft.discard()
    monkeypatch.undo()
    assert store.read(KEY) == OLD
