"""The source Files reads what was uploaded, also if the storage is a bucket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings

from apps.connectors import storage
from apps.connectors.files import sweeping
from apps.engine.failures import ConfigurationError
from apps.engine.stores import s3
from tests.connectors.files.test_files import CSV, FILES, expire_everything, replace, upload
from tests.engine.destinations.servers import BUCKET, Servers, s3_client
from tests.engine.sources.reading import make_source, read_stream
from tests.world import World


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    started = Servers()
    yield started
    started.close()


@pytest.fixture
def bucket(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {
        "bucket_name": BUCKET,
        "endpoint_url": servers.s3_url,
        "access_key": "test-key",
        "secret_key": "test-secret",
        "region_name": "us-east-1",
    }
    monkeypatch.setattr(settings, "STORAGE_KIND", "s3")
    monkeypatch.setitem(settings.STORAGE_OPTIONS, "s3", options)


def read_ids(world: World, path: str) -> list[object]:
    source = make_source(
        "files",
        {"path": path, "stream_name": "orders"},
        "orders",
        files=storage.files_root(world.org.pk),
    )
    return read_stream(source).column("id")


def test_an_uploaded_file_is_read(world: World) -> None:
    file_id = upload(world, "orders 1.csv").json()["id"]
    assert read_ids(world, "orders 1.csv") == [1, 2]
    replace(world, file_id, b"id,total\n7,1.25\n")
    upload(world, "orders 2.csv", b"id,total\n8,2.25\n")
    assert read_ids(world, "orders*.csv") == [7, 8]


@pytest.mark.usefixtures("bucket")
def test_an_uploaded_file_is_read_from_a_bucket(world: World) -> None:
    file = upload(world, "\u00fcber.csv").json()
    assert file["bytes"] == len(CSV)
    assert read_ids(world, "\u00fcber.csv") == [1, 2]
    large = b"id,total\n" + b"1,0.5\n" * (s3.PART_BYTES // 4)
    assert replace(world, file["id"], large).json()["bytes"] == len(large)
    assert len(read_ids(world, "*.csv")) == s3.PART_BYTES // 4
    assert world.client().delete(f"{FILES}/{file['id']}").status_code == 204
    with pytest.raises(ConfigurationError):
        read_ids(world, "\u00fcber.csv")


@pytest.mark.usefixtures("bucket")
def test_a_bucket_that_is_not_there_is_a_503_and_the_list_stays_as_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = upload(world, "orders.csv").json()
    monkeypatch.setitem(settings.STORAGE_OPTIONS["s3"], "bucket_name", "missing")
    for change in (
        lambda: upload(world, "more.csv"),
        lambda: replace(world, file["id"], b"new"),
        lambda: world.client().delete(f"{FILES}/{file['id']}"),
    ):
        answer = change()
        expire_everything(world)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert b"missing" not in answer.content
    monkeypatch.setitem(settings.STORAGE_OPTIONS["s3"], "bucket_name", BUCKET)
    sweeping.clean_up()
    assert [row["name"] for row in world.client().get(FILES).json()["results"]] == ["orders.csv"]


@pytest.mark.usefixtures("bucket")
def test_an_erased_org_leaves_no_incomplete_upload_in_the_bucket(
    world: World, servers: Servers
) -> None:
    client = s3_client(servers.s3_url)
    key = f"org/{world.org.pk}/files/lost.csv"
    client.create_multipart_upload(Bucket=BUCKET, Key=key)
    assert sweeping.remove_drafts(world.org.pk)
    uploads = client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    assert key not in [upload["Key"] for upload in uploads]
