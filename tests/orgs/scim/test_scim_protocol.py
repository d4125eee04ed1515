"""SCIM requests in the formats of different directories: attributes, filters, sorting, patches and errors."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.orgs.models import AuditEvent, Invitation, ScimUser
from tests.orgs.scim.test_scim import BASE, GROUP, USER, directory_client, send_patch
from tests.world import World, new_client

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"


@pytest.fixture
def directory(world: World) -> APIClient:
    return directory_client(world)


def create_user(client: APIClient, user_name: str, **attributes: Any) -> dict[str, Any]:
    answer = client.post(f"{BASE}/Users", {"schemas": [USER], "userName": user_name, **attributes})
    assert answer.status_code == 201, answer.content
    user: dict[str, Any] = answer.json()
    return user


def create_group(client: APIClient, name: str, *members: str) -> dict[str, Any]:
    body = {"schemas": [GROUP], "displayName": name, "members": [{"value": pk} for pk in members]}
    answer = client.post(f"{BASE}/Groups", body)
    assert answer.status_code == 201, answer.content
    group: dict[str, Any] = answer.json()
    return group


def listed_names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [
        resource.get("userName") or resource["displayName"]
        for resource in answer.json()["Resources"]
    ]


def test_attributes_of_a_directory_are_stored_and_returned(directory: APIClient) -> None:
    attributes = {
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
    user = create_user(directory, "Grace.Hopper", **attributes)
    assert user["userName"] == "Grace.Hopper", "the spelling of the directory is kept"
    assert {name: user[name] for name in attributes} == attributes
    assert directory.get(user["meta"]["location"]).json() == user
    assert user["meta"]["created"] == user["meta"]["lastModified"]
    assert set(user["schemas"]) == {USER, ENTERPRISE}


def test_attribute_names_ignore_case_and_passwords_are_not_stored(
    world: World, directory: APIClient
) -> None:
    body = {"schemas": [USER], "USERNAME": "grace", "DisplayName": "G", "password": "not kept"}
    user = directory.post(f"{BASE}/Users", body).json()
    assert (user["userName"], user["displayName"]) == ("grace", "G")
    change = {"op": "replace", "path": "password", "value": "not kept"}
    assert send_patch(directory, f"Users/{user['id']}", change).status_code == 200
    with world.scope():
        row = ScimUser.objects.for_org(world.org).values().get()
    assert "not kept" not in str(row)


def test_a_user_without_an_address_is_invited_when_an_email_is_added(
    world: World, directory: APIClient
) -> None:
    pk = create_user(directory, "ghopper")["id"]
    with world.scope():
        assert not Invitation.objects.for_org(world.org).exists(), "the user has no address yet"
    emails = [
        {"value": "home@example.com", "type": "home"},
        {"value": "Grace@Example.com", "type": "work", "primary": True},
    ]
    send_patch(directory, f"Users/{pk}", {"op": "add", "path": "emails", "value": emails})
    with world.scope():
        assert Invitation.objects.for_org(world.org).unaccepted().get().email == "grace@example.com"
    send_patch(directory, f"Users/{pk}", {"op": "replace", "path": "userName", "value": "hopper"})
    with world.scope():
        assert Invitation.objects.for_org(world.org).unaccepted().get().email == "grace@example.com"
    send_patch(directory, f"Users/{pk}", {"op": "remove", "path": "emails"})
    with world.scope():
        assert not Invitation.objects.for_org(world.org).unaccepted().exists()


def test_a_second_user_with_the_same_address_is_a_conflict(directory: APIClient) -> None:
    create_user(directory, "grace@example.com")
    for attributes in (
        {"userName": "GRACE@example.com"},
        {"userName": "ghopper", "emails": [{"value": "grace@example.com"}]},
    ):
        answer = directory.post(f"{BASE}/Users", {"schemas": [USER], **attributes})
        assert answer.status_code == 409
        assert answer.json()["scimType"] == "uniqueness"


def test_audit_events_contain_names_of_attributes_without_values(
    world: World, directory: APIClient
) -> None:
    create_user(directory, "grace", phoneNumbers=[{"value": "+1-201-555-0123"}], title="Admiral")
    with world.scope():
        event = AuditEvent.objects.for_org(world.org).get(action="scim_user.create")
    assert event.changes["attributes"] == ["phoneNumbers", "title"]
    assert "555" not in str(event.changes)


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    ("filter_text", "expected"),
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
def test_a_filter_returns_the_matching_users(
    directory: APIClient, filter_text: str, expected: list[str]
) -> None:
    create_user(directory, "ada", externalId="e-Ada", title="Countess", name={"familyName": "L"})
    create_user(
        directory,
        "grace",
        displayName="Grace H",
        title="Admiral",
        active=False,
        name={"familyName": "Hopper"},
        emails=[{"value": "g@navy.example.com", "type": "work"}],
        **{ENTERPRISE: {"department": "Navy"}},
    )
    assert listed_names(directory.get(f"{BASE}/Users", {"filter": filter_text})) == expected
    body = {"schemas": [SEARCH], "filter": filter_text}
    assert listed_names(directory.post(f"{BASE}/Users/.search", body)) == expected
    assert listed_names(directory.post(f"{BASE}/.search", body)) == expected


@pytest.mark.parametrize(
    ("query", "scim_type"),
    [
        ({"filter": "("}, "invalidFilter"),
        ({"filter": 'password eq "x"'}, "invalidFilter"),
        ({"filter": "active gt true"}, "invalidFilter"),
        ({"sortBy": "nothing"}, "invalidPath"),
        ({"attributes": "userName", "excludedAttributes": "name"}, "invalidValue"),
        ({"count": "many"}, "invalidValue"),
    ],
)
def test_an_invalid_query_is_rejected(
    directory: APIClient, query: dict[str, str], scim_type: str
) -> None:
    answer = directory.get(f"{BASE}/Users", query)
    assert answer.status_code == 400
    assert answer.json()["scimType"] == scim_type


def test_a_filter_that_would_scan_too_many_rows_is_rejected(
    directory: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.orgs.scim import search

    monkeypatch.setattr(search, "SCAN_LIMIT", 1)
    for name in ("ada", "grace"):
        create_user(directory, name)
    answer = directory.get(f"{BASE}/Users", {"filter": "title pr"})
    assert (answer.status_code, answer.json()["scimType"]) == (400, "tooMany")
    assert listed_names(directory.get(f"{BASE}/Users", {"filter": 'userName eq "ada"'})) == ["ada"]


def test_lists_are_sorted_and_paged_and_one_search_returns_users_and_groups(
    directory: APIClient,
) -> None:
    for name, title in (("b", "2"), ("a", "1"), ("c", "3")):
        create_user(directory, name, title=title)
    create_group(directory, "crew")
    by_name = {"sortBy": "userName"}
    assert listed_names(directory.get(f"{BASE}/Users", by_name)) == ["a", "b", "c"]
    descending_page: dict[str, Any] = {
        "sortBy": "title",
        "sortOrder": "descending",
        "startIndex": 2,
        "count": 1,
    }
    assert listed_names(directory.get(f"{BASE}/Users", descending_page)) == ["b"]
    search_answer = directory.post(f"{BASE}/.search", {"schemas": [SEARCH], "startIndex": 3})
    assert listed_names(search_answer) == ["c", "crew"]
    assert search_answer.json()["totalResults"] == 4
    empty_page = directory.get(f"{BASE}/Users", {"count": 0, "startIndex": -3}).json()
    assert (empty_page["totalResults"], empty_page["startIndex"], empty_page["Resources"]) == (
        3,
        1,
        [],
    )


def test_a_response_contains_only_the_requested_attributes(directory: APIClient) -> None:
    pk = create_user(
        directory, "ada", title="Countess", name={"givenName": "Ada", "familyName": "L"}
    )["id"]
    included = directory.get(f"{BASE}/Users/{pk}", {"attributes": "USERNAME,name.givenName"}).json()
    assert included == {
        "schemas": [USER],
        "id": pk,
        "userName": "ada",
        "name": {"givenName": "Ada"},
    }
    excluded = directory.get(f"{BASE}/Users", {"excludedAttributes": "name,meta,id"}).json()
    (user,) = excluded["Resources"]
    assert not {"name", "meta"} & user.keys()
    assert user["id"] == pk, "the id is always returned"


def test_members_and_groups_contain_their_urls(directory: APIClient) -> None:
    user = create_user(directory, "ada")
    group = create_group(directory, "crew", user["id"])
    user_url = user["meta"]["location"]
    assert group["members"] == [{"value": user["id"], "$ref": user_url, "type": "User"}]
    (group_of_user,) = directory.get(user_url).json()["groups"]
    group_reference = {"value": group["id"], "$ref": group["meta"]["location"]}
    assert group_of_user == {**group_reference, "display": "crew", "type": "direct"}
    query = {"filter": f'members eq "{user["id"]}"', "excludedAttributes": "members"}
    (found_group,) = directory.get(f"{BASE}/Groups", query).json()["Resources"]
    assert (found_group["displayName"], "members" in found_group) == ("crew", False)


def test_a_group_cannot_be_a_member_of_a_group(directory: APIClient) -> None:
    crew = create_group(directory, "crew")
    member = {"value": crew["id"], "type": "Group"}
    change = {"op": "add", "path": "members", "value": [member]}
    answer = send_patch(directory, f"Groups/{crew['id']}", change)
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue")


def test_the_request_formats_of_entra_id_are_accepted(directory: APIClient) -> None:
    """Entra ID sends filters that match no value, the manager as an id, booleans as text, and `remove` with a value."""
    pk = create_user(directory, "ada")["id"]
    answer = send_patch(
        directory,
        f"Users/{pk}",
        {"op": "Add", "path": 'emails[type eq "work"].value', "value": "ada@example.com"},
        {"op": "Add", "path": 'phoneNumbers[type eq "mobile"].value', "value": "1"},
        {"op": "Add", "path": "name.givenName", "value": "Ada"},
        {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": "26118915"},
        {"op": "Replace", "path": "active", "value": "False"},
        {"op": "Add", "path": "unknownAttribute", "value": "ignored"},
    )
    assert answer.status_code == 200, answer.content
    user = answer.json()
    assert user["emails"] == [{"value": "ada@example.com", "type": "work"}]
    assert user["name"] == {"givenName": "Ada"}
    assert user[ENTERPRISE] == {"manager": {"value": "26118915"}}
    assert user["active"] is False
    crew = create_group(directory, "crew", pk)["id"]
    removal = {"op": "Remove", "path": "members", "value": [{"value": pk}]}
    assert "members" not in send_patch(directory, f"Groups/{crew}", removal).json()


def test_the_request_formats_of_okta_are_accepted(directory: APIClient) -> None:
    """Okta sends the id of the resource in the value, and the names of members."""
    pk = create_user(directory, "ada")["id"]
    crew = create_group(directory, "crew")["id"]
    rename = {"op": "replace", "value": {"id": crew, "displayName": "team"}}
    assert send_patch(directory, f"Groups/{crew}", rename).json()["displayName"] == "team"
    member = {"value": pk, "display": "ada@example.com"}
    added = send_patch(
        directory, f"Groups/{crew}", {"op": "add", "path": "members", "value": [member]}
    )
    assert [listed["value"] for listed in added.json()["members"]] == [pk]
    added_again = send_patch(
        directory, f"Groups/{crew}", {"op": "add", "path": "members", "value": [member]}
    )
    assert len(added_again.json()["members"]) == 1


def test_a_patch_removes_an_attribute_by_its_path_or_by_a_filter(directory: APIClient) -> None:
    emails = [
        {"value": "a@example.com", "type": "work"},
        {"value": "b@example.com", "type": "home"},
    ]
    pk = create_user(directory, "ada", emails=emails, title="Countess", active=False)["id"]
    user = send_patch(
        directory,
        f"Users/{pk}",
        {"op": "remove", "path": 'emails[type eq "work"]'},
        {"op": "remove", "path": "title"},
        {"op": "remove", "path": "active"},
    ).json()
    assert user["emails"] == emails[1:]
    assert not {"title", "active"} & user.keys()
    assert directory.get(f"{BASE}/Users/{pk}").json() == user


def test_replacing_a_user_removes_attributes_that_are_not_sent(directory: APIClient) -> None:
    before = create_user(directory, "ada", title="Countess", active=False)
    body = {"schemas": [USER], "id": "another", "userName": "ada", "groups": [{"value": "x"}]}
    after = directory.put(f"{BASE}/Users/{before['id']}", body).json()
    assert (after["id"], after["active"], "title" in after) == (before["id"], True, False)
    assert after["meta"]["created"] == before["meta"]["created"]
    assert after["meta"]["lastModified"] > before["meta"]["lastModified"]


def test_every_error_has_the_format_of_scim(
    world: World, directory: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing_url = f"{BASE}/Users/00000000-0000-0000-0000-000000000000"
    answers = {
        400: directory.post(f"{BASE}/Users", b"{", content_type="application/scim+json"),
        401: new_client().get(f"{BASE}/Users"),
        403: world.client("viewer").get(f"{BASE}/Users"),
        404: directory.get(missing_url),
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
    failed = directory.get(f"{BASE}/Users")
    assert (failed.status_code, failed.json()["schemas"]) == (500, [ERROR])


def test_the_service_declares_its_supported_features(directory: APIClient) -> None:
    config = directory.get(f"{BASE}/ServiceProviderConfig").json()
    optional_features = {
        name for name in config if (config[name] or {}) and "supported" in config[name]
    }
    assert {name for name in optional_features if config[name]["supported"]} == {
        "patch",
        "filter",
        "sort",
    }
    resource_types = directory.get(f"{BASE}/ResourceTypes").json()["Resources"]
    assert [resource_type["id"] for resource_type in resource_types] == ["User", "Group"]
    for resource_type in resource_types:
        assert directory.get(resource_type["meta"]["location"]).json() == resource_type
        assert directory.get(f"{BASE}/Schemas/{resource_type['schema']}").status_code == 200
    attributes = directory.get(f"{BASE}/Schemas/{USER}").json()["attributes"]
    assert "password" not in {attribute["name"] for attribute in attributes}
    for path in ("ServiceProviderConfig", "ResourceTypes", "Schemas"):
        assert directory.get(f"{BASE}/{path}", {"filter": "id pr"}).status_code == 403
        assert directory.get(f"{BASE}/{path}", {"count": 0}).status_code == 200


def test_a_patch_of_a_large_group_does_not_compare_every_member(
    directory: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simple operations never load the members. A filter that compares members is rejected for a large group."""
    from apps.orgs.scim import group_patches

    user_ids = [create_user(directory, f"user {number}")["id"] for number in range(3)]
    crew = create_group(directory, "crew", user_ids[0])["id"]
    monkeypatch.setattr(group_patches, "MAX_COMPARISONS", 0)
    operations: list[dict[str, Any]] = [
        {"op": "add", "path": "members", "value": [{"value": user_ids[1]}]},
        {"op": "add", "value": {"members": [{"value": user_ids[2]}], "displayName": "team"}},
        {"op": "remove", "path": f'members[value eq "{user_ids[0]}"]'},
        {"op": "remove", "path": f"{GROUP}:members", "value": [{"value": user_ids[1]}]},
    ]
    patched = send_patch(directory, f"Groups/{crew}", *operations).json()
    assert [member["value"] for member in patched["members"]] == user_ids[2:]
    assert patched["displayName"] == "team"
    complex_removal = {"op": "remove", "path": f'members[value sw "{user_ids[2][:8]}"]'}
    refused = send_patch(directory, f"Groups/{crew}", complex_removal)
    assert (refused.status_code, refused.json()["scimType"]) == (400, "tooMany")
    monkeypatch.setattr(group_patches, "MAX_COMPARISONS", 1)
    assert "members" not in send_patch(directory, f"Groups/{crew}", complex_removal).json()


def test_a_search_loads_members_only_if_they_are_returned(directory: APIClient) -> None:
    user_id = create_user(directory, "ada")["id"]
    create_group(directory, "crew", user_id)
    for parameters, expected_queries in (({}, 1), ({"excludedAttributes": "members"}, 0)):
        with CaptureQueriesContext(connection) as captured:
            listed_names(
                directory.get(f"{BASE}/Groups", {"filter": 'displayName sw "c"', **parameters})
            )
        member_queries = [query for query in captured if "orgs_scimmembership" in query["sql"]]
        assert len(member_queries) == expected_queries, parameters
