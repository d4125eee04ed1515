"""Errors outside the API are pages that look like Drover's other pages, and say what to do."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.views.defaults import permission_denied

from apps.web import site

OPERATORS = "/operators/"


def check_page(answer: Any, status: int, title: str) -> None:
    page = answer.content.decode()
    assert answer.status_code == status, page
    assert answer["Content-Type"].startswith("text/html")
    assert f"<h1>{title}</h1>" in page
    assert "freshness/page" in page, "the style sheet"


def test_an_unknown_file_is_a_page_that_was_not_found(db: None) -> None:
    check_page(Client().get("/static/none.js"), 404, "Page not found")


def test_a_form_without_a_token_says_that_it_has_to_be_sent_again(db: None) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post(f"{OPERATORS}login/", {"username": "x", "password": "y"})
    check_page(answer, 403, "The form was not accepted")


def test_an_operator_without_the_permission_is_told_so(rf: RequestFactory) -> None:
    check_page(permission_denied(rf.get(OPERATORS), Exception()), 403, "Not allowed")


@pytest.mark.parametrize(("path", "kind"), [(OPERATORS, "text/html"), ("/api/v1/x", "json")])
def test_an_error_in_our_code_is_a_page_for_operators_and_json_for_programs(
    rf: RequestFactory, path: str, kind: str
) -> None:
    answer: HttpResponse = site.server_error(rf.get(path))
    assert answer.status_code == 500
    assert kind in answer["Content-Type"]
    assert "it has been logged" in answer.content.decode()
