"""Lists of public APIs of every length: without records, with one, with whole pages, with one more."""

from __future__ import annotations

from typing import Any

import pytest

from tests.corpora.apis.public_apis import PAGE, PUBLIC_APIS, Asked
from tests.corpora.paged_apis import make_items
from tests.engine.sources.api import ReceivedRequest, Reply, serve_api
from tests.engine.sources.reading import make_source, read_stream


@pytest.mark.sample(4)
@pytest.mark.parametrize("count", [0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE])
@pytest.mark.parametrize("name", PUBLIC_APIS)
def test_a_list_of_any_length_arrives(name: str, count: int) -> None:
    public_api, rows = PUBLIC_APIS[name], make_items(count)

    def respond(request: ReceivedRequest) -> Reply:
        answer = public_api.answer(Asked(rows, request))
        return answer if isinstance(answer, Reply) else Reply(answer)

    with serve_api(respond) as api:
        stream: dict[str, Any] = {
            "name": "items",
            "path": "/items",
            "records_path": public_api.records,
            "pagination": public_api.pagination,
            **public_api.stream,
        }
        config = {"base_url": api.url, "streams": [stream], "retries": 0}
        assert read_stream(make_source("rest", config, "items")).rows == rows
