"""The catalogue of connectors."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from apps.connectors import catalogue
from apps.orgs.roles import Role
from tests.world import World


@pytest.mark.parametrize("role", ["source", "destination"])
def test_every_kind_is_listed_with_its_schema(world: World, role: str) -> None:
    answer = world.client(Role.VIEWER).get(f"/api/v1/catalog/{role}s")
    entries = {entry["kind"]: entry for entry in answer.json()["results"]}
    assert entries.keys() == catalogue.kinds(role).keys()
    for kind, entry in entries.items():
        assert entry["config_schema"]["type"] == "object"
        detail = world.client(Role.VIEWER).get(f"/api/v1/catalog/{role}s/{kind}")
        assert detail.json() == entry


def test_a_client_with_the_current_version_gets_304(world: World) -> None:
    client = world.client(Role.VIEWER)
    first = client.get("/api/v1/catalog/sources")
    assert first.headers["Cache-Control"] == "private, no-cache"
    second = client.get("/api/v1/catalog/sources", headers={"If-None-Match": first.headers["ETag"]})
    assert (second.status_code, second.content) == (304, b"")


def test_an_unknown_kind_is_not_found(world: World) -> None:
    assert world.client().get("/api/v1/catalog/sources/carrier-pigeon").status_code == 404


def test_the_catalogue_requires_a_credential(db: None) -> None:
    assert APIClient().get("/api/v1/catalog/sources").status_code == 401


def test_the_schema_of_every_kind_marks_its_secrets() -> None:
    for role in ("source", "destination"):
        for kind in catalogue.kinds(role).values():
            # A pattern of names is only in the schema.
            listed = {path for path in kind.secrets if all(isinstance(step, str) for step in path)}
            assert listed == {tuple(path.split(".")) for path in kind.entry.secret_paths}, kind.name
