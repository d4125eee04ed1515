"""What shows that a response without a list of records is an error instead of a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drover._paging.forms import Form, find_first_fault, find_object_fault
from drover._paging.keys import keys_of
from drover._paging.paths import plain_place
from drover._paging.responses import Page
from drover._paging.styles import Paging


def find_page_fault(
    style: Paging, form: Form, page: Page, records: Any, primary_key: Sequence[str]
) -> str:
    """Return in words why a response without records is no page, or an empty text."""
    if page.is_object:
        if primary_key and keys_of(page.records, primary_key):
            return ""
        if form.has_lists:
            return "it has an object instead of the list of records"
        return find_object_fault(page.records[0])
    if not form:
        return find_first_fault(page.document, records, has_list=page.has_list)
    if page.response.has_no_content or page.document in (None, []):
        return ""
    named = {plain_place(path) for path in style.named_paths if path}
    if page.document == {} and page.is_first and form.has_only(named):
        return ""  # Some APIs leave out everything that is empty.
    return form.find_fault(
        page.document,
        records,
        has_list=page.has_list,
        named=named,
        says_end=style.says_end(page),
    )
