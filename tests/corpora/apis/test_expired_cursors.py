"""Cursors and links that the API does not accept any more when an attempt continues: the stream is read from the beginning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from apps.engine.contract import Failed, Succeeded
from tests.corpora.paged_apis import make_items
from tests.corpora.test_accounting import read_rows
from tests.engine.conftest import Rehearsal
from tests.engine.sources.api import ReceivedRequest, Reply, serve_api

ITEMS = make_items(57)
STYLES: dict[str, dict[str, Any]] = {
    "cursor": {"type": "cursor", "cursor_path": "next", "cursor_param": "after"},
    "link": {"type": "next_link", "link_path": "next"},
}


@dataclass
class ExpiringApi:
    """Pages of ten. Cursors of an earlier generation have expired, and requests from a record on may fail."""

    style: str
    status: int
    generation: int = 0
    fails_from: int | None = None
    expires_always: bool = False

    def respond(self, request: ReceivedRequest) -> Reply:
        generation, _, number = request.params.get("after", f"{self.generation}-0").partition("-")
        if int(generation) != self.generation or (self.expires_always and number == "30"):
            return Reply({"error": {"message": "the cursor has expired"}}, self.status)
        start = int(number)
        if self.fails_from is not None and start >= self.fails_from:
            return Reply(status=503)
        following = f"{self.generation}-{start + 10}" if start + 10 < len(ITEMS) else None
        if following and self.style == "link":
            following = f"/items?after={following}"
        return Reply({"data": ITEMS[start : start + 10], "next": following})


@pytest.mark.sample(5)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("status", [400, 404, 410])
@pytest.mark.parametrize("actions", [[], [{"status_code": 404, "action": "end"}]])
def test_an_attempt_that_cannot_continue_reads_all_records(
    make_rehearsal: Callable[..., Rehearsal],
    style: str,
    status: int,
    actions: list[dict[str, Any]],
) -> None:
    items = ExpiringApi(style, status, fails_from=30)
    with serve_api(items.respond) as api:
        stream: dict[str, Any] = {"name": "items", "path": "/items", "records_path": "data"}
        stream |= {"pagination": STYLES[style], "response_actions": actions}
        config = {"base_url": api.url, "retries": 0, "streams": [stream]}
        run = make_rehearsal(
            config, {}, source_kind="rest", destination_kind="jsonl", stream="items"
        )
        run.spec = replace(run.spec, allow_private_networks=True)
        assert isinstance(run.attempt(), Failed)
        items.fails_from = None
        items.generation += 1
        outcome = run.attempt()
        assert isinstance(outcome, Succeeded), outcome
        assert read_rows(run) == ITEMS
        assert any("Reading from the beginning" in line.message for line in run.log)


def test_a_cursor_that_is_refused_each_time_fails_once(
    make_rehearsal: Callable[..., Rehearsal],
) -> None:
    items = ExpiringApi("cursor", 400, fails_from=30)
    with serve_api(items.respond) as api:
        stream = {"name": "items", "path": "/items", "records_path": "data"}
        config = {
            "base_url": api.url,
            "retries": 0,
            "streams": [stream | {"pagination": STYLES["cursor"]}],
        }
        run = make_rehearsal(
            config, {}, source_kind="rest", destination_kind="jsonl", stream="items"
        )
        run.spec = replace(run.spec, allow_private_networks=True)
        assert isinstance(run.attempt(), Failed)
        items.fails_from, items.expires_always = None, True
        outcome = run.attempt()
        assert isinstance(outcome, Failed)
        assert (outcome.failure_class, outcome.retryable) == ("configuration", False)
