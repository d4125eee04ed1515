"""Logs and outputs of runs in object stores, with local emulators of S3 and Google Cloud Storage."""

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
from tests.runs.following.test_streams import session_token
from tests.runs.processes import has_ended, running_worker, start_run, wait_for_run
from tests.runs.test_rejected import change_stream
from tests.web_server import web_server
from tests.world import World, make_world


@contextmanager
def s3_storage() -> Iterator[dict[str, str]]:
    with closing(Servers()) as servers:
        yield {
            "DROVER_STORAGE": "s3",
            "DROVER_STORAGE_BUCKET": BUCKET,
            "DROVER_S3_ENDPOINT_URL": servers.s3_url,
            "DROVER_S3_ACCESS_KEY": "test-key",
            "DROVER_S3_SECRET_KEY": "test-secret",
            "DROVER_S3_REGION": "us-east-1",
        }


@contextmanager
def gcs_storage() -> Iterator[dict[str, str]]:
    with closing(Servers()) as servers:
        yield {
            "DROVER_STORAGE": "gcs",
            "DROVER_STORAGE_BUCKET": BUCKET,
            "DROVER_GCS_ENDPOINT_URL": servers.gcs_url,
            "STORAGE_EMULATOR_HOST": servers.gcs_url,
        }


def list_keys(environment: dict[str, str], folder: str) -> list[str]:
    """Return the keys below the folder. All tests of this process share the bucket."""
    if environment["DROVER_STORAGE"] == "s3":
        client = s3_client(environment["DROVER_S3_ENDPOINT_URL"])
        objects = client.list_objects_v2(Bucket=BUCKET, Prefix=folder).get("Contents", ())
        return [item["Key"] for item in objects]
    address = environment["DROVER_GCS_ENDPOINT_URL"]
    listing = httpx.get(
        f"{address}/storage/v1/b/{BUCKET}/o", params={"prefix": folder}, timeout=60
    ).json()
    return [item["name"] for item in listing.get("items", ())]


def assert_signed_download_link(link: str, folder: str) -> None:
    """Assert that the link is signed, expires soon, and is a download of a file in the folder."""
    address = urlsplit(link)
    parameters = parse_qs(address.query)
    assert folder in address.path
    assert int(parameters["X-Amz-Expires"][0]) <= 600
    assert parameters["X-Amz-SignedHeaders"] == ["host"]  # the path is part of the signed text
    assert parameters["response-content-disposition"][0].startswith("attachment")


@pytest.mark.long
@pytest.mark.parametrize("store", [s3_storage, gcs_storage])
def test_the_log_and_files_of_a_run_are_in_the_object_store_until_the_pipeline_is_deleted(
    acme: World, store: Any
) -> None:
    pipeline = make_pipeline(acme, source={"rows": 700}, destination={"kind": "jsonl"})
    code = "def transform(record):\n    return record if record['id'] > 3 else None\n"
    change_stream(acme, pipeline, transforms=[{"kind": "python", "code": code}])

    with (
        store() as environment,
        web_server(**environment) as server,
        running_worker(**environment),
    ):
        run_id = start_run(acme, pipeline)
        run = wait_for_run(acme, run_id, has_ended, 120)
        assert run["status"] == "succeeded", run
        headers = {"Authorization": f"Bearer {session_token(acme)}"}
        with httpx.Client(
            base_url=f"{server}/api/v1/runs/{run_id}", headers=headers, timeout=60
        ) as client:
            log = client.get("/logs").json()
            assert log["complete"]
            assert len(log["lines"]) == run["log_lines"] > 0
            outputs = client.get("/outputs").json()["results"]
            assert sum(output["rows"] for output in outputs) == 697
            skipped = client.get("/rejected", params={"kind": "skipped", "offset": 1}).json()
            assert (skipped["kept"], len(skipped["results"])) == (3, 2)
            path = f"/outputs/{outputs[0]['name']}"
            download = client.get(path, params={"redirect": "false"})
            assert len(download.content) == outputs[0]["bytes"]
            assert download.headers["content-disposition"].startswith("attachment")
            redirect = client.get(path)
            if environment["DROVER_STORAGE"] == "s3":
                assert redirect.status_code == 302
                link = redirect.headers["location"]
                assert httpx.get(link, timeout=60).content == download.content
                assert_signed_download_link(link, f"org/{acme.org.pk}/")
                stranger_headers = {"Authorization": f"Bearer {session_token(make_world())}"}
                foreign = client.get(path, headers=stranger_headers)
                assert (foreign.status_code, foreign.headers.get("location")) == (404, None)
        folder = f"org/{acme.org.pk}/"
        assert list_keys(environment, folder)
        assert acme.client().delete(f"/api/v1/pipelines/{pipeline.pk}").status_code == 204
        deadline = time.monotonic() + 120
        while list_keys(environment, folder):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert not list((Path(os.environ["DROVER_HOME"]) / "storage").glob(f"org/{acme.org.pk}/**/*"))
