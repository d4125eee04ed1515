"""Logs and outputs in object stores, with real local emulators."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.engine.destinations.servers import BUCKET, Servers, s3_client
from tests.runs.conftest import make_pipeline
from tests.runs.following.test_streams import token_of
from tests.runs.processes import ended, start, wait_for, worker
from tests.web_server import web_server
from tests.world import World, make_world


@contextmanager
def s3() -> Iterator[dict[str, str]]:
    with closing(Servers()) as servers:
        yield {
            "DROVER_STORAGE": "s3",
            "DROVER_STORAGE_BUCKET": BUCKET,
            "DROVER_S3_ENDPOINT_URL": servers.s3,
            "DROVER_S3_ACCESS_KEY": "test-key",
            "DROVER_S3_SECRET_KEY": "test-secret",
            "DROVER_S3_REGION": "us-east-1",
        }


@contextmanager
def gcs() -> Iterator[dict[str, str]]:
    with closing(Servers()) as servers:
        yield {
            "DROVER_STORAGE": "gcs",
            "DROVER_STORAGE_BUCKET": BUCKET,
            "DROVER_GCS_ENDPOINT_URL": servers.gcs,
            "STORAGE_EMULATOR_HOST": servers.gcs,
        }


def keys_in(environment: dict[str, str], folder: str) -> list[str]:
    """List everything below the folder; the emulator's buckets are shared by all tests of this process."""
    if environment["DROVER_STORAGE"] == "s3":
        client = s3_client(environment["DROVER_S3_ENDPOINT_URL"])
        found = client.list_objects_v2(Bucket=BUCKET, Prefix=folder).get("Contents", ())
        return [item["Key"] for item in found]
    address = environment["DROVER_GCS_ENDPOINT_URL"]
    listed = httpx.get(f"{address}/storage/v1/b/{BUCKET}/o", params={"prefix": folder}).json()
    return [item["name"] for item in listed.get("items", ())]


def assert_the_link_is_for_this_file_only(link: str, folder: str) -> None:
    """Signed, short-lived, and with nothing but ids."""
    address = urlsplit(link)
    given = parse_qs(address.query)
    assert folder in address.path
    assert int(given["X-Amz-Expires"][0]) <= 600
    assert given["X-Amz-SignedHeaders"] == ["host"]  # the path is part of the signed text
    assert given["response-content-disposition"][0].startswith("attachment")


@pytest.mark.parametrize("store", [s3, gcs])
def test_a_run_whose_log_and_files_live_in_an_object_store_until_its_pipeline_is_deleted(
    acme: World, store: Any
) -> None:
    pipeline = make_pipeline(acme, source={"rows": 700}, destination={"kind": "jsonl"})

    with (
        store() as environment,
        web_server(**environment) as server,
        worker(**environment),
    ):
        run_id = start(acme, pipeline)
        run = wait_for(acme, run_id, ended, 120)
        assert run["status"] == "succeeded", run
        headers = {"Authorization": f"Bearer {token_of(acme)}"}
        with httpx.Client(base_url=f"{server}/api/v1/runs/{run_id}", headers=headers) as client:
            log = client.get("/logs").json()
            assert log["complete"]
            assert len(log["lines"]) == run["log_lines"] > 0
            outputs = client.get("/outputs").json()["results"]
            assert sum(output["rows"] for output in outputs) == 700
            path = f"/outputs/{outputs[0]['name']}"
            content = client.get(path, params={"redirect": "false"})
            assert len(content.content) == outputs[0]["bytes"]
            assert content.headers["content-disposition"].startswith("attachment")
            redirected = client.get(path)
            if environment["DROVER_STORAGE"] == "s3":
                assert redirected.status_code == 302
                link = redirected.headers["location"]
                assert httpx.get(link).content == content.content
                assert_the_link_is_for_this_file_only(link, f"org/{acme.org.pk}/")
                stranger = {"Authorization": f"Bearer {token_of(make_world())}"}
                foreign = client.get(path, headers=stranger)
                assert (foreign.status_code, foreign.headers.get("location")) == (404, None)
        folder = f"org/{acme.org.pk}/"
        assert keys_in(environment, folder)
        assert acme.client().delete(f"/api/v1/pipelines/{pipeline.pk}").status_code == 204
        deadline = time.monotonic() + 120
        while keys_in(environment, folder):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert not list((Path(os.environ["DROVER_HOME"]) / "storage").glob(f"org/{acme.org.pk}/**/*"))
