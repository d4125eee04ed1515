"""The OpenAPI document is committed, complete, and shown on a page that needs no script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS, reset_generator_stats

from apps.web import openapi
from apps.web.api_docs import METHODS

AUTH_ERRORS = {"401", "403"}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in openapi.document()["paths"].items():
        for method in METHODS:
            if method in methods:
                yield path, method, methods[method]


def operation_params() -> Any:
    return [pytest.param(*entry, id=f"{entry[1]} {entry[0]}") for entry in operations()]


def test_the_committed_document_is_up_to_date() -> None:
    call_command("export_openapi", check=True, stdout=StringIO())


def test_the_document_is_generated_without_a_warning_and_is_the_same_each_time() -> None:
    openapi.document.cache_clear()
    reset_generator_stats()
    first = openapi.as_yaml()
    assert not GENERATOR_STATS, [str(warning) for warning in GENERATOR_STATS._warn_cache]
    openapi.document.cache_clear()
    assert openapi.as_yaml() == first


def test_the_document_contains_no_server_and_both_kinds_of_credentials() -> None:
    document = openapi.document()
    assert document["openapi"].startswith("3.1")
    assert not document.get("servers")
    assert set(document["components"]["securitySchemes"]) == {"bearer", "apiKey"}


def test_operation_ids_are_unique_and_consist_of_words() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))
    assert [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+)+|[a-z]+", name)] == []


@pytest.mark.parametrize(("path", "method", "operation"), operation_params())
def test_every_operation_has_a_tag_a_summary_and_all_its_responses(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    assert len(operation["tags"]) == 1
    assert operation["summary"]
    answers = operation["responses"]
    assert {"400", "503"} <= set(answers)
    if operation.get("security"):
        assert set(answers) >= AUTH_ERRORS
    if "{" in path:
        assert "404" in answers, "an id in the path may be unknown"
    if "requestBody" in operation:
        assert {"408", "413", "415", "422"} <= set(answers)
    if method in {"put", "patch", "delete"} and "If-Match" in str(operation.get("parameters")):
        assert "412" in answers
    for status, answer in answers.items():
        content = answer.get("content", {})
        if status >= "4" and (path, status) != ("/api/v1/health/ready", "503"):
            error_format = "scim" if "/scim/v2/" in path else "problem"
            assert list(content) == [f"application/{error_format}+json"], status
        elif status not in ("202", "204", "302", "304"):
            assert content, status


@pytest.mark.parametrize(("path", "method", "operation"), operation_params())
def test_every_operation_has_examples_of_its_bodies_and_responses(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    for status, answer in operation["responses"].items():
        for content in answer.get("content", {}).values():
            is_file = content["schema"].get("format") == "binary"
            if status < "4" and not is_file:
                assert content.get("examples"), f"{status} has no example"
    for content in operation.get("requestBody", {}).get("content", {}).values():
        assert content.get("examples"), "the body has no example"


@pytest.mark.parametrize(("path", "method", "operation"), operation_params())
def test_examples_match_the_schema(path: str, method: str, operation: dict[str, Any]) -> None:
    from jsonschema import Draft202012Validator

    document = openapi.document()
    contents = [*operation.get("requestBody", {}).get("content", {}).values()]
    for answer in operation["responses"].values():
        contents += answer.get("content", {}).values()
    for content in contents:
        schema = {**content.get("schema", {}), "components": document["components"]}
        for example in content.get("examples", {}).values():
            errors = list(Draft202012Validator(schema).iter_errors(example["value"]))
            assert not errors, [error.message for error in errors]


class PageTags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.fixture
def page(client: Client) -> PageTags:
    answer = client.get("/api/v1/docs")
    assert answer.status_code == 200
    assert "default-src 'self'" in answer["Content-Security-Policy"]
    return PageTags(answer.content.decode())


def test_the_page_shows_every_operation_and_its_links_have_targets(page: PageTags) -> None:
    ids = {attributes.get("id") for _, attributes in page.tags} - {None}
    assert {operation["operationId"] for _, _, operation in operations()} <= ids
    links = [attributes.get("href") or "" for tag, attributes in page.tags if tag == "a"]
    targets = {link[1:] for link in links if link.startswith("#")}
    assert targets <= ids


def test_the_page_has_no_script_no_inline_style_and_no_resource_of_another_host(
    page: PageTags,
) -> None:
    for tag, attributes in page.tags:
        assert tag not in {"script", "style", "iframe"}
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            assert not re.match(r"(https?:)?//", attributes.get(name) or "")


def test_the_document_is_served_as_json(client: Client) -> None:
    answer = client.get("/api/v1/openapi.json")
    assert answer["Content-Type"] == "application/json"
    assert answer.json()["paths"].keys() == openapi.document()["paths"].keys()
