"""SCIM in the dialects of directories: attributes are stored and returned, searched, patched and refused."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.orgs.models import AuditEvent, Invitation, ScimUser
from tests.orgs.scim.test_scim import BASE, GROUP, USER, directory_of, patch
from tests.world import World, new_client

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"


@pytest.fixture
def directory(world: World) -> APIClient:
    return directory_of(world)


def made(client: APIClient, user_name: str, **more: Any) -> dict[str, Any]:
    answer = client.post(f"{BASE}/Users", {"schemas": [USER], "userName": user_name, **more})
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    return found


def group(client: APIClient, name: str, *members: str) -> dict[str, Any]:
    body = {"schemas": [GROUP], "displayName": name, "members": [{"value": pk} for pk in members]}
    answer = client.post(f"{BASE}/Groups", body)
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    return found


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [each.get("userName") or each["displayName"] for each in answer.json()["Resources"]]


def test_attributes_of_a_directory_are_stored_and_returned(directory: APIClient) -> None:
    said = {
        "externalId": "00u1",
        "name": {"givenName": "Grace", "familyName": "Hopper", "formatted": "Grace B. Hopper"},
        "displayName": "Grace Hopper",
        "title": "Rear Admiral",
        "preferredLanguage": "en",
        "emails": [{"value": "grace@example.com", "type": "work", "primary": True}],
        "addresses": [{"type": "work", "formatted": "1 Yard\nWashington", "country": "US"}],
        "active": False,
        ENTERPRISE: {"department": "Navy", "manager": {"value": "26118915"}},
    }
    shown = made(directory, "Grace.Hopper", **said)
    assert shown["userName"] == "Grace.Hopper", "the directory's own spelling"
    assert {name: shown[name] for name in said} == said
    assert directory.get(shown["meta"]["location"]).json() == shown
    assert shown["meta"]["created"] == shown["meta"]["lastModified"]
    assert set(shown["schemas"]) == {USER, ENTERPRISE}


def test_names_of_attributes_have_no_case_and_passwords_are_dropped(
    world: World, directory: APIClient
) -> None:
    body = {"schemas": [USER], "USERNAME": "grace", "DisplayName": "G", "password": "not kept"}
    shown = directory.post(f"{BASE}/Users", body).json()
    assert (shown["userName"], shown["displayName"]) == ("grace", "G")
    change = {"op": "replace", "path": "password", "value": "not kept"}
    assert patch(directory, f"Users/{shown['id']}", change).status_code == 200
    with world.scope():
        kept = ScimUser.objects.for_org(world.org).values().get()
    assert "not kept" not in str(kept)


def test_a_user_name_without_address_is_matched_by_email(
    world: World, directory: APIClient
) -> None:
    pk = made(directory, "ghopper")["id"]
    with world.scope():
        assert not Invitation.objects.for_org(world.org).exists(), "nobody is meant yet"
    emails = [
        {"value": "home@example.com", "type": "home"},
        {"value": "Grace@Example.com", "type": "work", "primary": True},
    ]
    patch(directory, f"Users/{pk}", {"op": "add", "path": "emails", "value": emails})
    with world.scope():
        assert Invitation.objects.for_org(world.org).open().get().email == "grace@example.com"
    patch(directory, f"Users/{pk}", {"op": "replace", "path": "userName", "value": "hopper"})
    with world.scope():
        assert Invitation.objects.for_org(world.org).open().get().email == "grace@example.com"
    patch(directory, f"Users/{pk}", {"op": "remove", "path": "emails"})
    with world.scope():
        assert not Invitation.objects.for_org(world.org).open().exists()


def test_one_person_is_not_two_users(directory: APIClient) -> None:
    made(directory, "grace@example.com")
    for again in (
        {"userName": "GRACE@example.com"},
        {"userName": "ghopper", "emails": [{"value": "grace@example.com"}]},
    ):
        answer = directory.post(f"{BASE}/Users", {"schemas": [USER], **again})
        assert answer.status_code == 409
        assert answer.json()["scimType"] == "uniqueness"


def test_the_trail_names_attributes_and_keeps_no_telephone_numbers(
    world: World, directory: APIClient
) -> None:
    made(directory, "grace", phoneNumbers=[{"value": "+1-201-555-0123"}], title="Admiral")
    with world.scope():
        event = AuditEvent.objects.for_org(world.org).get(action="scim_user.create")
    assert event.changes["attributes"] == ["phoneNumbers", "title"]
    assert "555" not in str(event.changes)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ('userName eq "ADA"', ["ada"]),
        ('username sw "g"', ["grace"]),
        ('externalId eq "e-Ada"', ["ada"]),
        ('externalId eq "E-ADA"', []),
        ('emails[type eq "work" and value co "navy"]', ["grace"]),
        ('emails.value ew "navy.example.com"', ["grace"]),
        ('title pr and not (name.familyName eq "Hopper")', ["ada"]),
        ('userName eq "ada" or displayName eq "grace h"', ["ada", "grace"]),
        ('userName eq "ada" and title eq "no"', []),
        ("active eq false", ["grace"]),
        (f'{ENTERPRISE}:department eq "Navy"', ["grace"]),
        (f'{USER}:userName eq "ada"', ["ada"]),
        ('meta.created gt "2020-01-01T00:00:00Z"', ["ada", "grace"]),
        ('id eq "no id"', []),
        ('displayName eq "" or nickName pr', []),
    ],
)
def test_filters(directory: APIClient, asked: str, found: list[str]) -> None:
    made(directory, "ada", externalId="e-Ada", title="Countess", name={"familyName": "L"})
    made(
        directory,
        "grace",
        displayName="Grace H",
        title="Admiral",
        active=False,
        name={"familyName": "Hopper"},
        emails=[{"value": "g@navy.example.com", "type": "work"}],
        **{ENTERPRISE: {"department": "Navy"}},
    )
    assert names(directory.get(f"{BASE}/Users", {"filter": asked})) == found
    body = {"schemas": [SEARCH], "filter": asked}
    assert names(directory.post(f"{BASE}/Users/.search", body)) == found
    assert names(directory.post(f"{BASE}/.search", body)) == found


@pytest.mark.parametrize(
    ("query", "keyword"),
    [
        ({"filter": "("}, "invalidFilter"),
        ({"filter": 'password eq "x"'}, "invalidFilter"),
        ({"filter": "active gt true"}, "invalidFilter"),
        ({"sortBy": "nothing"}, "invalidPath"),
        ({"attributes": "userName", "excludedAttributes": "name"}, "invalidValue"),
        ({"count": "many"}, "invalidValue"),
    ],
)
def test_a_bad_query_is_refused_by_name(
    directory: APIClient, query: dict[str, str], keyword: str
) -> None:
    answer = directory.get(f"{BASE}/Users", query)
    assert answer.status_code == 400
    assert answer.json()["scimType"] == keyword


def test_a_filter_that_would_examine_too_many_rows_is_refused(
    directory: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.orgs.scim import search

    monkeypatch.setattr(search, "SCAN_LIMIT", 1)
    for name in ("ada", "grace"):
        made(directory, name)
    answer = directory.get(f"{BASE}/Users", {"filter": "title pr"})
    assert (answer.status_code, answer.json()["scimType"]) == (400, "tooMany")
    assert names(directory.get(f"{BASE}/Users", {"filter": 'userName eq "ada"'})) == ["ada"]


def test_lists_are_sorted_and_searched_together(directory: APIClient) -> None:
    for name, title in (("b", "2"), ("a", "1"), ("c", "3")):
        made(directory, name, title=title)
    group(directory, "crew")
    by_name = {"sortBy": "userName"}
    assert names(directory.get(f"{BASE}/Users", by_name)) == ["a", "b", "c"]
    down: dict[str, Any] = {
        "sortBy": "title",
        "sortOrder": "descending",
        "startIndex": 2,
        "count": 1,
    }
    assert names(directory.get(f"{BASE}/Users", down)) == ["b"]
    everything = directory.post(f"{BASE}/.search", {"schemas": [SEARCH], "startIndex": 3})
    assert names(everything) == ["c", "crew"]
    assert everything.json()["totalResults"] == 4
    none = directory.get(f"{BASE}/Users", {"count": 0, "startIndex": -3}).json()
    assert (none["totalResults"], none["startIndex"], none["Resources"]) == (3, 1, [])


def test_an_answer_holds_the_attributes_that_are_asked_for(directory: APIClient) -> None:
    pk = made(directory, "ada", title="Countess", name={"givenName": "Ada", "familyName": "L"})[
        "id"
    ]
    only = directory.get(f"{BASE}/Users/{pk}", {"attributes": "USERNAME,name.givenName"}).json()
    assert only == {
        "schemas": [USER],
        "id": pk,
        "userName": "ada",
        "name": {"givenName": "Ada"},
    }
    without = directory.get(f"{BASE}/Users", {"excludedAttributes": "name,meta,id"}).json()
    (shown,) = without["Resources"]
    assert not {"name", "meta"} & shown.keys()
    assert shown["id"] == pk, "always returned"


def test_members_and_groups_say_where_they_are(directory: APIClient) -> None:
    person = made(directory, "ada")
    crew = group(directory, "crew", person["id"])
    where = person["meta"]["location"]
    assert crew["members"] == [{"value": person["id"], "$ref": where, "type": "User"}]
    (mine,) = directory.get(where).json()["groups"]
    there = {"value": crew["id"], "$ref": crew["meta"]["location"]}
    assert mine == {**there, "display": "crew", "type": "direct"}
    inside = {"filter": f'members eq "{person["id"]}"', "excludedAttributes": "members"}
    (shown,) = directory.get(f"{BASE}/Groups", inside).json()["Resources"]
    assert (shown["displayName"], "members" in shown) == ("crew", False)


def test_a_group_in_a_group_is_refused(directory: APIClient) -> None:
    crew = group(directory, "crew")
    member = {"value": crew["id"], "type": "Group"}
    change = {"op": "add", "path": "members", "value": [member]}
    answer = patch(directory, f"Groups/{crew['id']}", change)
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue")


def test_entra_ids_ways(directory: APIClient) -> None:
    """Filters without a match, a plain id as the manager, booleans as text, and `remove` with a value."""
    pk = made(directory, "ada")["id"]
    answer = patch(
        directory,
        f"Users/{pk}",
        {"op": "Add", "path": 'emails[type eq "work"].value', "value": "ada@example.com"},
        {"op": "Add", "path": 'phoneNumbers[type eq "mobile"].value', "value": "1"},
        {"op": "Add", "path": "name.givenName", "value": "Ada"},
        {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": "26118915"},
        {"op": "Replace", "path": "active", "value": "False"},
        {"op": "Add", "path": "unknownAttribute", "value": "left"},
    )
    assert answer.status_code == 200, answer.content
    shown = answer.json()
    assert shown["emails"] == [{"value": "ada@example.com", "type": "work"}]
    assert shown["name"] == {"givenName": "Ada"}
    assert shown[ENTERPRISE] == {"manager": {"value": "26118915"}}
    assert shown["active"] is False
    crew = group(directory, "crew", pk)["id"]
    out = {"op": "Remove", "path": "members", "value": [{"value": pk}]}
    assert "members" not in patch(directory, f"Groups/{crew}", out).json()


def test_oktas_ways(directory: APIClient) -> None:
    """The resource's own id inside the value, and names of members."""
    pk = made(directory, "ada")["id"]
    crew = group(directory, "crew")["id"]
    rename = {"op": "replace", "value": {"id": crew, "displayName": "team"}}
    assert patch(directory, f"Groups/{crew}", rename).json()["displayName"] == "team"
    member = {"value": pk, "display": "ada@example.com"}
    shown = patch(directory, f"Groups/{crew}", {"op": "add", "path": "members", "value": [member]})
    assert [each["value"] for each in shown.json()["members"]] == [pk]
    twice = patch(directory, f"Groups/{crew}", {"op": "add", "path": "members", "value": [member]})
    assert len(twice.json()["members"]) == 1


def test_a_patch_removes_by_path_and_by_filter(directory: APIClient) -> None:
    emails = [
        {"value": "a@example.com", "type": "work"},
        {"value": "b@example.com", "type": "home"},
    ]
    pk = made(directory, "ada", emails=emails, title="Countess", active=False)["id"]
    shown = patch(
        directory,
        f"Users/{pk}",
        {"op": "remove", "path": 'emails[type eq "work"]'},
        {"op": "remove", "path": "title"},
        {"op": "remove", "path": "active"},
    ).json()
    assert shown["emails"] == emails[1:]
    assert not {"title", "active"} & shown.keys()
    assert directory.get(f"{BASE}/Users/{pk}").json() == shown


def test_a_replacement_leaves_nothing_of_before(directory: APIClient) -> None:
    before = made(directory, "ada", title="Countess", active=False)
    body = {"schemas": [USER], "id": "another", "userName": "ada", "groups": [{"value": "x"}]}
    after = directory.put(f"{BASE}/Users/{before['id']}", body).json()
    assert (after["id"], after["active"], "title" in after) == (before["id"], True, False)
    assert after["meta"]["created"] == before["meta"]["created"]
    assert after["meta"]["lastModified"] > before["meta"]["lastModified"]


def test_every_error_has_scims_form(
    world: World, directory: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = f"{BASE}/Users/00000000-0000-0000-0000-000000000000"
    answers = {
        400: directory.post(f"{BASE}/Users", b"{", content_type="application/scim+json"),
        401: new_client().get(f"{BASE}/Users"),
        403: world.client("viewer").get(f"{BASE}/Users"),
        404: directory.get(missing),
        405: directory.delete(f"{BASE}/Users"),
        413: directory.post(
            f"{BASE}/Users", b" " * (3 << 20), content_type="application/scim+json"
        ),
        415: directory.post(f"{BASE}/Users", b"<a/>", content_type="text/xml"),
    }
    for status, answer in answers.items():
        assert answer.status_code == status
        assert answer["Content-Type"] == "application/scim+json"
        body = answer.json()
        assert (body["schemas"], body["status"]) == ([ERROR], str(status))
        assert body["detail"]
    assert answers[401]["WWW-Authenticate"] == "Bearer"
    assert answers[400].json()["scimType"] == "invalidSyntax"
    directory.raise_request_exception = False
    monkeypatch.setattr("apps.orgs.scim.views.query_parameters", lambda request: 1 / 0)
    broken = directory.get(f"{BASE}/Users")
    assert (broken.status_code, broken.json()["schemas"]) == (500, [ERROR])


def test_what_is_spoken_is_declared(directory: APIClient) -> None:
    config = directory.get(f"{BASE}/ServiceProviderConfig").json()
    spoken = {name for name in config if (config[name] or {}) and "supported" in config[name]}
    assert {name for name in spoken if config[name]["supported"]} == {"patch", "filter", "sort"}
    kinds = directory.get(f"{BASE}/ResourceTypes").json()["Resources"]
    assert [kind["id"] for kind in kinds] == ["User", "Group"]
    for kind in kinds:
        assert directory.get(kind["meta"]["location"]).json() == kind
        assert directory.get(f"{BASE}/Schemas/{kind['schema']}").status_code == 200
    attributes = directory.get(f"{BASE}/Schemas/{USER}").json()["attributes"]
    assert "password" not in {attribute["name"] for attribute in attributes}
    for path in ("ServiceProviderConfig", "ResourceTypes", "Schemas"):
        assert directory.get(f"{BASE}/{path}", {"filter": "id pr"}).status_code == 403
        assert directory.get(f"{BASE}/{path}", {"count": 0}).status_code == 200


def test_members_of_large_groups_are_not_compared_one_by_one(
    directory: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simple operations on members never load them; a path that only the library can apply has a limit."""
    from apps.orgs.scim import group_patches

    people = [made(directory, f"person {number}")["id"] for number in range(3)]
    crew = group(directory, "crew", people[0])["id"]
    monkeypatch.setattr(group_patches, "COMPARISON_LIMIT", 0)
    operations: list[dict[str, Any]] = [
        {"op": "add", "path": "members", "value": [{"value": people[1]}]},
        {"op": "add", "value": {"members": [{"value": people[2]}], "displayName": "team"}},
        {"op": "remove", "path": f'members[value eq "{people[0]}"]'},
        {"op": "remove", "path": f"{GROUP}:members", "value": [{"value": people[1]}]},
    ]
    shown = patch(directory, f"Groups/{crew}", *operations).json()
    assert [each["value"] for each in shown["members"]] == people[2:]
    assert shown["displayName"] == "team"
    odd = {"op": "remove", "path": f'members[value sw "{people[2][:8]}"]'}
    refused = patch(directory, f"Groups/{crew}", odd)
    assert (refused.status_code, refused.json()["scimType"]) == (400, "tooMany")
    monkeypatch.setattr(group_patches, "COMPARISON_LIMIT", 1)
    assert "members" not in patch(directory, f"Groups/{crew}", odd).json()


def test_a_search_loads_members_only_for_what_shows_or_asks_them(directory: APIClient) -> None:
    person = made(directory, "ada")["id"]
    group(directory, "crew", person)
    for more, queries in (({}, 1), ({"excludedAttributes": "members"}, 0)):
        with CaptureQueriesContext(connection) as captured:
            names(directory.get(f"{BASE}/Groups", {"filter": 'displayName sw "c"', **more}))
        asked = [query for query in captured if "orgs_scimmembership" in query["sql"]]
        assert len(asked) == queries, more
