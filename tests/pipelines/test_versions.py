"""Versions of a definition: every change adds one; they can be compared and restored."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from apps.orgs.roles import Role
from apps.pipelines.history import diffs
from apps.pipelines.models import PipelineVersion
from tests.pipelines.test_pipelines import PASSWORD, URL, config, create, database, plain_source
from tests.world import World, make_connector, make_pipeline


def patch(world: World, made: dict[str, Any], **source: Any) -> dict[str, Any]:
    answer = world.client().patch(f"{URL}/{made['id']}", {"config": {"source": source}})
    assert answer.status_code == 200, answer.content
    changed: dict[str, Any] = answer.json()
    return changed


def test_a_changed_definition_is_a_new_version_and_nothing_else_is(world: World) -> None:
    made = create(world)
    client = world.client()
    client.patch(f"{URL}/{made['id']}", {"name": "New", "tags": ["a"], "schedule": "0 0 * * *"})
    patch(world, made, config={"rows": 10})
    assert patch(world, made, config={"rows": 11})["version"] == 2
    rows = world.client(Role.VIEWER).get(f"{URL}/{made['id']}/versions").json()
    assert [row["number"] for row in rows["results"]] == [2, 1]
    assert rows["results"][0]["created_by"] == {
        "id": str(world.users[Role.MEMBER].pk),
        "name": "member",
    }
    assert rows["count"] == 2


def test_versions_are_paged(world: World) -> None:
    made = create(world)
    for rows in range(11, 14):
        patch(world, made, config={"rows": rows})
    client = world.client()
    path = f"{URL}/{made['id']}/versions"
    first = client.get(path, {"limit": 3}).json()
    rest = client.get(path, {"limit": 3, "cursor": first["next"]}).json()
    assert [row["number"] for row in first["results"] + rest["results"]] == [4, 3, 2, 1]
    assert rest["next"] is None


def test_a_diff_names_each_field_and_masks_secrets(world: World) -> None:
    made = create(world, config=database())
    patch(world, made, config={"database": "store", "password": "another-password-3k9z"})
    client = world.client(Role.VIEWER)
    answer = client.get(f"{URL}/{made['id']}/versions/2/diff")
    assert answer.json() == {
        "before": 1,
        "after": 2,
        "changes": [
            {
                "field": "source.config.database",
                "before": "shop",
                "after": "store",
                "secret": False,
            },
            {
                "field": "source.config.password",
                "before": {"set": True, "last4": "3k9z"},
                "after": {"set": True, "last4": "3k9z"},
                "secret": True,
            },
        ],
    }
    back = client.get(f"{URL}/{made['id']}/versions/1/diff", {"against": 2}).json()
    assert back["changes"][0]["before"] == "store"
    first = client.get(f"{URL}/{made['id']}/versions/1/diff").json()
    assert first["before"] == 0
    assert all(change["before"] is None for change in first["changes"])
    assert PASSWORD not in str(first)


def test_a_version_is_read_with_its_secrets_masked(world: World) -> None:
    made = create(world, config=database())
    answer = world.client(Role.VIEWER).get(f"{URL}/{made['id']}/versions/1")
    assert answer.json()["config"] == made["config"]


def test_an_unknown_version_is_not_found_whatever_its_number(world: World) -> None:
    made = create(world)
    client = world.client()
    for number in (0, 2, 2**31, 10**26):
        path = f"{URL}/{made['id']}/versions/{number}"
        assert client.get(path).status_code == 404
        assert client.get(f"{path}/diff").status_code == 404
        assert client.post(f"{path}/restore", {}).status_code == 404
    path = f"{URL}/{made['id']}/versions/1/diff"
    assert client.get(path, {"against": 9}).status_code == 404
    assert client.get(path, {"against": 10**26}).status_code == 400


def test_restoring_adds_a_version_with_the_old_secrets_encrypted_again(world: World) -> None:
    made = create(world, config=database())
    patch(world, made, config={"password": "new", "database": "store"})
    client = world.client()
    answer = client.post(f"{URL}/{made['id']}/versions/1/restore", {})
    assert answer.status_code == 200, answer.content
    assert answer.json()["version"] == 3
    assert answer.json()["config"] == made["config"]
    assert plain_source(world, made["id"]).config["password"] == PASSWORD
    with world.scope():
        sealed = dict(PipelineVersion.objects.for_org(world.org).values_list("number", "sealed"))
    assert sealed[3] != sealed[1]
    notes = client.get(f"{URL}/{made['id']}/versions").json()["results"]
    assert notes[0]["note"] == "Restored version 1"
    same = client.post(f"{URL}/{made['id']}/versions/1/restore", {}).json()
    assert same["version"] == 3


def test_a_version_whose_connector_is_gone_cannot_be_restored(world: World) -> None:
    saved = make_connector(world)
    made = create(world, config=config(connector_id=str(saved.pk), kind=None, config=None))
    patch(world, made, kind="dummy", config={})
    assert world.client().delete(f"/api/v1/connectors/{saved.pk}").status_code == 204
    answer = world.client().post(f"{URL}/{made['id']}/versions/1/restore", {})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "source.connector_id"


def test_a_version_of_another_pipeline_is_not_found(world: World) -> None:
    one, other = make_pipeline(world), make_pipeline(world)
    patch(world, {"id": str(one.pk)}, config={"rows": 3})
    assert world.client().get(f"{URL}/{other.pk}/versions/2").status_code == 404


leaves = st.none() | st.booleans() | st.integers() | st.text("ab", max_size=3)
documents = st.recursive(
    st.dictionaries(st.text("abc", min_size=1, max_size=2), leaves | st.lists(leaves, max_size=2)),
    lambda inner: st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(documents, documents)
def test_a_diff_contains_every_difference_and_nothing_else(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    changes = diffs.diff(before, after)
    patched = diffs.flatten(before)
    for change in changes:
        assert change["before"] != change["after"]
        assert patched.get(change["field"]) == change["before"]
        patched[change["field"]] = change["after"]
    wanted = diffs.flatten(after)
    assert {k: v for k, v in patched.items() if v is not None} == {
        k: v for k, v in wanted.items() if v is not None
    }
    assert diffs.diff(before, before) == []
