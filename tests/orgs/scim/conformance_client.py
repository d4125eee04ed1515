"""`scim2-client` over httpx. Importing scim2-client takes seconds, so only one test imports this module."""

from __future__ import annotations

from typing import Any

import httpx
from scim2_client.client import BaseSyncSCIMClient


class HttpxScimClient(BaseSyncSCIMClient):
    """A client with the installed version of httpx. The httpx client of scim2-client needs another version."""

    def __init__(self, client: httpx.Client) -> None:
        super().__init__()
        self.client = client

    def _stays_under_base_url(self, endpoint: str) -> bool:
        return str(self.client.build_request("GET", endpoint).url).startswith(
            str(self.client.base_url)
        )

    def _parse_json(self, response: Any) -> Any:
        return response.json()

    def request(self, method: str, url: str, **kwargs: Any) -> httpx.Response:
        return self.client.request(method, url.removeprefix("/"), **kwargs)
