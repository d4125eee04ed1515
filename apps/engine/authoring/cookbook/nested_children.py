"""A child stream of another stream

The comments of each post are requested with the id of the post in the path, page by page. Records
that are marked as spam are left out.
"""

from collections.abc import Iterator
from typing import Any

from drover import Bearer, NextUrl, Page, RestSource, Secret, Stream


class Blog(RestSource):
    base_url = "https://blog.example/api"
    auth = Bearer("token")
    paging = NextUrl("links.next")
    streams = [
        Stream("posts", records="data", primary_key="id"),
        Stream("comments", parent="posts", path="/posts/{id}/comments", records="data"),
    ]

    class Config:
        token: str = Secret()

    def get(self, pagination: dict[str, Any] | None = None) -> Page:
        page = super().get(pagination)
        return Page(self.remove_spam(page.rows), page.next_pagination, page.next_state)

    def remove_spam(self, rows: Any) -> Iterator[dict[str, Any]]:
        return (row for row in rows if not row.get("spam"))
