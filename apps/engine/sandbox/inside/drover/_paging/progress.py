"""What is known of the pages of a stream that were read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from drover._paging.forms import Form
from drover._paging.hints import find_page_total
from drover._paging.overlaps import Tail
from drover._paging.responses import Json, Page
from drover._paging.trails import Trail


@dataclass
class Progress:
    """What is known of the pages so far. It is part of the token of each page, so a retry continues with it."""

    pages: int = 0
    records: int = 0  # or items, if lists inside of them have the records
    rows: int = 0  # the records themselves
    largest: int = 0  # records of the largest page
    smallest: int = 0  # records of the smallest page that has some
    empty: int = 0  # empty pages in a row
    repeated: int = 0  # pages in a row that equal an earlier page
    is_trusted: bool = False  # whether the API has shown that it looks at the position
    is_whole: bool = True  # whether the counts include the first page
    total: int | None = None  # the newest that was reported, if more records follow by it
    has_total: bool = False  # whether a total or number of pages was reported
    page_total: int = 0  # the newest number of pages that was reported
    is_all_read: bool = False  # whether all records or pages that were reported were read
    is_more_told: bool = False  # whether a flag or total of the newest page says that more follow
    outer: int = 0  # items whose lists have the records, also single ones
    items: str = ""  # identity of the newest page's items, if lists inside of them have the records
    tail: Tail = field(default_factory=Tail)  # the end of the newest page
    positions: Trail = field(default_factory=Trail)
    contents: Trail = field(default_factory=Trail)
    form: Form = field(default_factory=Form)

    @classmethod
    def from_token(cls, token: Mapping[str, Any]) -> Progress:
        value = token.get("progress")
        if not isinstance(value, Mapping):
            return cls(is_whole=not token)
        counts = {name: value[name] for name in COUNTS if name in value}
        positions, contents = (Trail.from_json(value.get(name)) for name in TRAILS)
        form = Form.from_json(value.get("form"))
        tail = Tail.from_json(value.get("tail"))
        return cls(**counts, tail=tail, positions=positions, contents=contents, form=form)

    def to_json(self) -> Json:
        counts = {name: getattr(self, name) for name in COUNTS}
        trails = {name: getattr(self, name).to_json() for name in TRAILS}
        return counts | trails | {"tail": self.tail.to_json(), "form": self.form.to_json()}

    def add(self, page: Page) -> None:
        self.pages += 1
        self.records += page.count
        self.rows += len(page.records)
        self.largest = max(self.largest, page.count)
        self.smallest = min(self.smallest or page.count, page.count or self.smallest)
        items = page.nesting.identity if page.nesting else ""
        self.outer += page.nesting.count if page.nesting else 0
        self.empty = 0 if page.records or items not in ("", self.items) else self.empty + 1
        self.items = items
        self.page_total = find_page_total(page) or self.page_total
        self.has_total |= self.page_total > 0


TRAILS = ("positions", "contents")
COUNTS = tuple(item.name for item in fields(Progress) if item.name not in (*TRAILS, "tail", "form"))
