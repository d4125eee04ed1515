"""Every change of a definition adds a version. Versions can be compared and restored."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from apps.orgs.roles import Role
from apps.pipelines.history import diffs
from apps.pipelines.models import PipelineVersion
from tests.pipelines.test_pipelines import (
    PASSWORD,
    URL,
    config,
    config_with_secret,
    create_pipeline,
    engine_source,
)
from tests.world import World, make_connector, make_pipeline


def patch_source(world: World, pipeline: dict[str, Any], **source: Any) -> dict[str, Any]:
    answer = world.client().patch(f"{URL}/{pipeline['id']}", {"config": {"source": source}})
    assert answer.status_code == 200, answer.content
    changed: dict[str, Any] = answer.json()
    return changed


def test_only_a_changed_definition_adds_a_version(world: World) -> None:
    pipeline = create_pipeline(world)
    client = world.client()
    client.patch(f"{URL}/{pipeline['id']}", {"name": "New", "tags": ["a"], "schedule": "0 0 * * *"})
    patch_source(world, pipeline, config={"rows": 10})
    assert patch_source(world, pipeline, config={"rows": 11})["version"] == 2
    rows = world.client(Role.VIEWER).get(f"{URL}/{pipeline['id']}/versions").json()
    assert [row["number"] for row in rows["results"]] == [2, 1]
    assert rows["results"][0]["created_by"] == {
        "id": str(world.users[Role.MEMBER].pk),
        "name": "member",
    }
    assert rows["count"] == 2


def test_versions_are_paged(world: World) -> None:
    pipeline = create_pipeline(world)
    for rows in range(11, 14):
        patch_source(world, pipeline, config={"rows": rows})
    client = world.client()
    path = f"{URL}/{pipeline['id']}/versions"
    first_page = client.get(path, {"limit": 3}).json()
    second_page = client.get(path, {"limit": 3, "cursor": first_page["next"]}).json()
    assert [row["number"] for row in first_page["results"] + second_page["results"]] == [4, 3, 2, 1]
    assert second_page["next"] is None


def test_a_diff_names_each_field_and_masks_secrets(world: World) -> None:
    pipeline = create_pipeline(world, config=config_with_secret())
    patch_source(world, pipeline, config={"database": "store", "password": "another-password-3k9z"})
    client = world.client(Role.VIEWER)
    answer = client.get(f"{URL}/{pipeline['id']}/versions/2/diff")
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
    reversed_diff = client.get(f"{URL}/{pipeline['id']}/versions/1/diff", {"against": 2}).json()
    assert reversed_diff["changes"][0]["before"] == "store"
    first_diff = client.get(f"{URL}/{pipeline['id']}/versions/1/diff").json()
    assert first_diff["before"] == 0
    assert all(change["before"] is None for change in first_diff["changes"])
    assert PASSWORD not in str(first_diff)


def test_a_diff_compares_streams_by_their_names(world: World) -> None:
    """Otherwise every stream after a removed one would seem to have changed."""
    names = ("creatures", "plants", "generated")
    three = {**config(), "streams": [{"stream": name} for name in names]}
    pipeline = create_pipeline(world, config=three)
    kept = {"streams": [{"stream": "plants"}, {"stream": "generated", "table": "other"}]}
    answer = world.client().patch(f"{URL}/{pipeline['id']}", {"config": kept})
    assert answer.status_code == 200, answer.json()
    changes = world.client().get(f"{URL}/{pipeline['id']}/versions/2/diff").json()["changes"]
    changed = [change for change in changes if change["stream"] != "creatures"]
    assert changed == [
        {
            "field": "streams.1.table",
            "before": "generated",
            "after": "other",
            "secret": False,
            "stream": "generated",
        }
    ]
    removed = [change for change in changes if change["stream"] == "creatures"]
    assert {change["field"].split(".")[1] for change in removed} == {"2"}
    assert all(change["after"] is None for change in removed)


def test_a_version_is_returned_with_masked_secrets(world: World) -> None:
    pipeline = create_pipeline(world, config=config_with_secret())
    answer = world.client(Role.VIEWER).get(f"{URL}/{pipeline['id']}/versions/1")
    assert answer.json()["config"] == pipeline["config"]


def test_a_version_number_that_does_not_exist_gets_404(world: World) -> None:
    pipeline = create_pipeline(world)
    client = world.client()
    for number in (0, 2, 2**31, 10**26):
        path = f"{URL}/{pipeline['id']}/versions/{number}"
        assert client.get(path).status_code == 404
        assert client.get(f"{path}/diff").status_code == 404
        assert client.post(f"{path}/restore", {}).status_code == 404
    path = f"{URL}/{pipeline['id']}/versions/1/diff"
    assert client.get(path, {"against": 9}).status_code == 404
    assert client.get(path, {"against": 10**26}).status_code == 400


def test_restoring_adds_a_version_with_the_old_secrets_encrypted_again(world: World) -> None:
    pipeline = create_pipeline(world, config=config_with_secret())
    patch_source(world, pipeline, config={"password": "new", "database": "store"})
    client = world.client()
    answer = client.post(f"{URL}/{pipeline['id']}/versions/1/restore", {})
    assert answer.status_code == 200, answer.content
    assert answer.json()["version"] == 3
    assert answer.json()["config"] == pipeline["config"]
    assert engine_source(world, pipeline["id"]).config["password"] == PASSWORD
    with world.scope():
        sealed = dict(PipelineVersion.objects.for_org(world.org).values_list("number", "sealed"))
    assert sealed[3] != sealed[1]
    versions = client.get(f"{URL}/{pipeline['id']}/versions").json()["results"]
    assert versions[0]["note"] == "Restored version 1"
    restored_again = client.post(f"{URL}/{pipeline['id']}/versions/1/restore", {}).json()
    assert restored_again["version"] == 3


def test_a_version_whose_connector_was_deleted_cannot_be_restored(world: World) -> None:
    connector = make_connector(world)
    pipeline = create_pipeline(
        world, config=config(connector_id=str(connector.pk), kind=None, config=None)
    )
    patch_source(world, pipeline, kind="dummy", config={})
    assert world.client().delete(f"/api/v1/connectors/{connector.pk}").status_code == 204
    answer = world.client().post(f"{URL}/{pipeline['id']}/versions/1/restore", {})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "source.connector_id"


def test_a_version_number_of_another_pipeline_gets_404(world: World) -> None:
    changed_pipeline, other_pipeline = make_pipeline(world), make_pipeline(world)
    patch_source(world, {"id": str(changed_pipeline.pk)}, config={"rows": 3})
    assert world.client().get(f"{URL}/{other_pipeline.pk}/versions/2").status_code == 404


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
    expected = diffs.flatten(after)
    assert {k: v for k, v in patched.items() if v is not None} == {
        k: v for k, v in expected.items() if v is not None
    }
    assert diffs.diff(before, before) == []
