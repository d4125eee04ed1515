"""Local servers that replace a user's PostgreSQL, S3 and Google Cloud Storage."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable
from functools import cached_property
from typing import Any
from uuid import uuid4

import boto3
import psycopg
from gcp_storage_emulator.server import create_server
from moto.server import ThreadedMotoServer
from psycopg import sql

from local.database.postgres import temporary_postgres

BUCKET = "drover-tests"


class Servers:
    """Start each server on first use, and stop all of them together."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()

    @cached_property
    def postgres_url(self) -> str:
        """Create a database in the test suite's server, or start a private server. Return the database's URL."""
        url_template = os.environ.get("DROVER_TEST_ADMIN_URL")
        if not url_template:
            return self._stack.enter_context(temporary_postgres()).url()
        name = f"destinations_{uuid4().hex[:12]}"
        with psycopg.connect(url_template.format(database="postgres"), autocommit=True) as admin:
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return url_template.format(database=name)

    @cached_property
    def s3_url(self) -> str:
        """Start an S3 server with BUCKET. Return its URL."""
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        self._stack.callback(server.stop)
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        s3_client(endpoint).create_bucket(Bucket=BUCKET)
        return endpoint

    @cached_property
    def gcs_url(self) -> str:
        """Start a Google Cloud Storage server with BUCKET. Return its URL."""
        create: Callable[..., Any] = create_server
        server = create("127.0.0.1", 0, in_memory=True, default_bucket=BUCKET)
        server.start()
        self._stack.callback(server.stop)
        port = server._api._httpd.server_address[1]
        return f"http://127.0.0.1:{port}"

    def close(self) -> None:
        self._stack.close()


def s3_client(endpoint: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id="test-key",
        aws_secret_access_key="test-secret",
        region_name="us-east-1",
    )
