"""What a run publishes, refuses and lists: every record is written, rejected or skipped, and the lists agree with the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from apps.engine.contract import CodeSpec, Failed, Succeeded
from tests.engine.conftest import Rehearsal
from tests.engine.sources.api import Api, ReceivedRequest, Reply, serve_api

MakeRehearsal = Callable[..., Rehearsal]


class Items:
    """An API with pages of two items. An item can be deleted, and requests from an offset on can fail."""

    def __init__(self) -> None:
        self.ids = list(range(1, 9))
        self.fails_from: int | None = None

    def respond(self, request: ReceivedRequest) -> Reply:
        offset = int(request.params["offset"])
        if self.fails_from is not None and offset >= self.fails_from:
            return Reply(status=400)
        return Reply([{"id": n} for n in self.ids[offset : offset + 2]])


@pytest.fixture
def items() -> Items:
    return Items()


@pytest.fixture
def api(items: Items) -> Iterator[Api]:
    with serve_api(items.respond) as server:
        yield server


@pytest.fixture
def pipeline(api: Api, make_rehearsal: MakeRehearsal) -> Rehearsal:
    """A full refresh of the items to JSON Lines."""
    config = {
        "base_url": api.url,
        "pagination": {"type": "offset", "page_size": 2},
        "retries": 0,
        "streams": [{"name": "items", "path": "/items"}],
    }
    run = make_rehearsal(config, {}, source_kind="rest", destination_kind="jsonl", stream="items")
    run.spec = replace(run.spec, allow_private_networks=True)
    return run


def read_rows(run: Rehearsal) -> list[dict[str, Any]]:
    """Return the rows of the files that the last attempt lists."""
    texts = [(run.folder / output.key).read_bytes() for output in run.outputs]
    return [orjson.loads(line) for text in texts for line in text.splitlines()]


def transform(code: str) -> CodeSpec:
    return CodeSpec(f"def transform(record):\n    {code}\n")


def test_r11_a_new_run_does_not_continue_at_a_place_that_has_moved(
    pipeline: Rehearsal, items: Items
) -> None:
    items.fails_from = 4
    assert isinstance(pipeline.attempt(), Failed)
    items.fails_from = None
    items.ids.remove(1)
    pipeline.start_new_run()
    assert isinstance(pipeline.attempt(), Succeeded)
    assert read_rows(pipeline) == [{"id": n} for n in range(2, 9)]


def test_r12_a_new_version_of_the_transform_applies_to_all_records(
    pipeline: Rehearsal,
) -> None:
    first = transform("1 / (record['id'] - 7); return {**record, 'version': 1}")
    pipeline.spec = replace(pipeline.spec, transform=first)
    assert isinstance(pipeline.attempt(), Failed)
    pipeline.spec = replace(pipeline.spec, transform=transform("return {**record, 'version': 2}"))
    pipeline.start_new_run()
    assert isinstance(pipeline.attempt(), Succeeded)
    assert read_rows(pipeline) == [{"id": n, "version": 2} for n in range(1, 9)]
