"""Walks through random APIs: all records arrive exactly once, or the walk fails after a few more requests."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.engine.library import counted, failures, responses, styles, walk

Rows = list[dict[str, Any]]
END_CURSORS = [None, False, 0, -1, "", "0", "null", "absent"]
ENDS = ["empty", "no content", "no list", "null", "refused"]


@dataclass
class MemoryApi:
    """An API without a server. `loops_to` is the page to which its last cursor leads back."""

    rows: Rows
    style: str
    cap: int = 10
    first: int = 0  # number of the first page or record
    end: str = "empty"  # how a page after the last one is answered
    end_cursor: Any = None
    extra: bool = False  # whether the response has a flag and a total
    loops_to: int | None = None
    ignores_position: bool = False
    asked: list[responses.Request] = field(default_factory=list)

    def __call__(self, request: responses.Request, *, is_probe: bool = False) -> responses.Response:
        self.asked.append(request)
        assert len(self.asked) < 400, "the walk does not end"
        params = request.params
        size = min(int(params.get("size", self.cap)), self.cap)
        if request.url is not None:
            params = {"at": request.url.rpartition("=")[2], **params}
        try:
            start = self._start(params, size)
        except ValueError:
            return responses.Response(400)
        rows = self.rows[start : start + size]
        if not rows and start > 0:
            return self._beyond_the_end()
        return self._page(rows, start + len(rows))

    def _start(self, params: dict[str, Any], size: int) -> int:
        if self.ignores_position:
            return 0
        if self.style == "page":
            return (int(params["page"]) - self.first) * size
        if self.style == "offset":
            return int(params["offset"]) - self.first
        at = params.get("at")
        if at is None:
            return 0
        if self.style == "record":
            return next(n for n, row in enumerate(self.rows, 1) if row["id"] == at)
        return int(str(at).removeprefix("c"))

    def _beyond_the_end(self) -> responses.Response:
        documents: dict[str, Any] = {
            "empty": {"data": []},
            "no list": {"kind": "list"},
            "null": {"data": None},
        }
        if self.end == "no content":
            return responses.Response(204)
        if self.end == "refused":
            return responses.Response(404, action="end")
        return responses.Response(200, documents[self.end], url="http://api/items")

    def _page(self, rows: Rows, following: int) -> responses.Response:
        document: dict[str, Any] = {"data": rows}
        is_last = following >= len(self.rows)
        if is_last and self.loops_to is not None and self.rows:
            following, is_last = self.loops_to * self.cap, False
        if self.extra:
            document |= {"has_more": not is_last, "total": len(self.rows)}
        if self.style in ("cursor", "link"):
            cursor = f"c{following}" if self.style == "cursor" else f"/items?at=c{following}"
            if not is_last:
                document["next"] = cursor
            elif self.end_cursor != "absent":
                document["next"] = self.end_cursor
        return responses.Response(200, document, url="http://api/items")


def make_style(
    api: MemoryApi, size: int, *, path: str = "next", named: bool = False
) -> styles.Paging:
    more = "has_more" if named and api.extra else ""
    sized = {"size": size, "size_param": "size", "more": more}
    match api.style:
        case "page":
            return counted.PageNumber(param="page", start=api.first, **sized)  # type: ignore[arg-type]
        case "offset":
            return counted.Offset(param="offset", start=api.first, **sized)  # type: ignore[arg-type]
        case "link":
            return styles.NextUrl(path, **sized)  # type: ignore[arg-type]
        case "record":
            return styles.Cursor("data.-1.id", param="at", **sized)  # type: ignore[arg-type]
    return styles.Cursor(path, param="at", **sized)  # type: ignore[arg-type]


def read_all(api: MemoryApi, style: styles.Paging) -> Rows:
    reader = walk.Walk(style, api, "data")
    rows: Rows = []
    token: dict[str, Any] = {}
    while True:
        step = reader.read(token)
        rows += step.records
        token = json.loads(json.dumps(step.next_token))
        assert len(json.dumps(token)) < 2500
        if not token:
            return rows


def make_rows(count: int, *, alike: bool) -> Rows:
    return [{"state": "up"} if alike else {"id": f"r{number}"} for number in range(count)]


@st.composite
def apis(draw: st.DrawFn, *names: str) -> tuple[MemoryApi, int]:
    """Return an API and the page size to ask for."""
    style = draw(st.sampled_from(names))
    cap = draw(st.integers(1, 8))
    alike = style != "record" and draw(st.booleans())
    api = MemoryApi(
        make_rows(draw(st.integers(0, 60)), alike=alike),
        style,
        cap=cap,
        first=draw(st.integers(0, 1)),
        end=draw(st.sampled_from(ENDS)),
        end_cursor=draw(st.sampled_from(END_CURSORS)),
        extra=draw(st.booleans()),
    )
    # A page number counts pages of the size that is asked for, so an API that cuts it cannot be read by any client.
    return api, draw(st.integers(1, cap if style == "page" else 12))


@given(apis("page", "offset", "cursor", "link", "record"), st.booleans())
@settings(deadline=None, max_examples=120)
def test_all_records_of_a_working_api_arrive_once(case: tuple[MemoryApi, int], named: bool) -> None:
    api, size = case
    assert read_all(api, make_style(api, size, named=named)) == api.rows


@given(apis("cursor", "link"), st.integers(0, 20))
@settings(deadline=None, max_examples=60)
def test_a_loop_fails_after_at_most_three_rounds(case: tuple[MemoryApi, int], page: int) -> None:
    api, _ = case
    pages = -(-len(api.rows) // api.cap)
    api.loops_to = page % max(pages, 1)
    style = make_style(api, 0)
    if not api.rows:
        assert read_all(api, style) == []
        return
    with pytest.raises(failures.SourceFailure):
        read_all(api, style)
    assert len(api.asked) <= 3 * pages + 5


@given(apis("page", "offset", "cursor", "record"))
@settings(deadline=None, max_examples=60)
def test_an_api_that_ignores_the_position_fails_after_a_few_requests(
    case: tuple[MemoryApi, int],
) -> None:
    api, size = case
    api.ignores_position = True
    size = min(size, api.cap)
    style = make_style(api, size)
    if len(api.rows) <= size and api.style == "cursor":
        assert read_all(api, style) == api.rows
        return
    can_tell = style.is_counted or api.style == "record"
    tells_that_all_were_read = api.extra and len(api.rows) <= size and can_tell
    if not api.rows or tells_that_all_were_read:
        assert read_all(api, style) == api.rows
        return
    with pytest.raises(failures.SourceFailure):
        read_all(api, style)
    assert len(api.asked) <= 6


@given(apis("cursor", "link"))
@settings(deadline=None, max_examples=60)
def test_a_mistyped_path_never_loses_records(case: tuple[MemoryApi, int]) -> None:
    api, size = case
    try:
        rows = read_all(api, make_style(api, size, path="nxt"))
    except failures.SourceFailure:
        return
    assert rows == api.rows
