"""Each valid file of an uploaded `.py` or `.zip` file becomes a source. Invalid and hostile files are rejected."""

from __future__ import annotations

import base64
import io
import stat
import struct
import zipfile
from typing import Any

import pytest

from apps.orgs.roles import Role
from tests.connectors.test_repositories import SOURCES_URL, VALID_CODE, list_sources
from tests.world import World, make_world

URL = f"{SOURCES_URL}/upload"


def upload_file(world: World, filename: str, content: bytes, **fields: Any) -> Any:
    body = {"filename": filename, "content": base64.b64encode(content).decode(), **fields}
    return world.client().post(URL, body)


def zip_bytes(members: dict[str, bytes | str], **kwargs: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content, **kwargs)
    return buffer.getvalue()


def results_by_path(answer: Any) -> dict[str, dict[str, Any]]:
    assert answer.status_code == 200, answer.content
    return {result["path"]: result for result in answer.json()["results"]}


def test_a_file_becomes_a_source_and_a_changed_file_becomes_its_next_version(world: World) -> None:
    created = results_by_path(upload_file(world, "shop.py", VALID_CODE.encode()))["shop.py"]
    assert (created["outcome"], created["version"]) == ("created", 1)
    shop = list_sources(world)["shop"]
    assert (shop["id"], shop["origin"]) == (created["source_id"], "upload")
    assert (
        results_by_path(upload_file(world, "shop.py", VALID_CODE.encode()))["shop.py"]["outcome"]
        == "unchanged"
    )
    updated = results_by_path(
        upload_file(world, "shop.py", VALID_CODE.encode() + b"# more\n", approve=True)
    )["shop.py"]
    assert (updated["outcome"], updated["version"]) == ("updated", 2)
    assert list_sources(world)["shop"]["approved_version"] == 2
    versions = world.client().get(f"{SOURCES_URL}/{shop['id']}/versions").json()["results"]
    assert versions[0]["note"] == "Uploaded shop.py"


def test_each_valid_file_of_an_archive_becomes_a_source(world: World) -> None:
    archive = zip_bytes(
        {
            "pack/a.py": VALID_CODE,
            "pack/b.py": "def broken(:",
            "pack/_helper.py": "x = 1",
            "pack/test_a.py": "x = 1",
            "__MACOSX/pack/a.py": "x",
            "pack/readme.md": "text",
            "pack/c.py": b"\xff",
        }
    )
    results = results_by_path(upload_file(world, "pack.zip", archive))
    assert {path: result["outcome"] for path, result in results.items()} == {
        "pack/a.py": "created",
        "pack/b.py": "failed",
        "pack/c.py": "failed",
    }
    assert results["pack/b.py"]["message"].startswith("Line 1: Syntax error")
    assert set(list_sources(world)) == {"a"}


def test_links_and_paths_outside_the_archive_are_rejected_and_other_files_are_used(
    world: World,
) -> None:
    link = zipfile.ZipInfo("link.py")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("../up.py", "/abs.py", "a/../../b.py", "c\\d.py"):
            archive.writestr(name, VALID_CODE)
        archive.writestr(link, "/etc/passwd")
        archive.writestr("fine.py", VALID_CODE)
    results = results_by_path(upload_file(world, "x.zip", buffer.getvalue()))
    created = [path for path, result in results.items() if result["outcome"] == "created"]
    assert created == ["fine.py"]
    assert "symbolic link" in results["link.py"]["message"]
    assert "points outside" in results["../up.py"]["message"]


def test_a_file_of_a_zip_bomb_is_rejected_at_the_size_limit(world: World) -> None:
    archive = zip_bytes({"bomb.py": b"#" * (300 << 20), "fine.py": VALID_CODE})
    assert len(archive) < 1 << 20
    results = results_by_path(upload_file(world, "bomb.zip", archive))
    assert "larger" in results["bomb.py"]["message"]
    assert results["fine.py"]["outcome"] == "created"


def damaged_zip() -> bytes:
    """Return an archive that is valid except for the compressed data of its file."""
    archive = bytearray(zip_bytes({"a.py": VALID_CODE}))
    position = archive.index(b"a.py") + len(b"a.py")
    archive[position : position + 8] = b"\xff" * 8
    return bytes(archive)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_methods_without_incremental_reading_are_rejected(
    world: World, method: int
) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("a.py", VALID_CODE)
    message = results_by_path(upload_file(world, "x.zip", buffer.getvalue()))["a.py"]["message"]
    assert "compression method is not supported" in message


def test_a_damaged_file_is_reported(world: World) -> None:
    assert (
        "could not be unpacked"
        in results_by_path(upload_file(world, "x.zip", damaged_zip()))["a.py"]["message"]
    )


def encrypted_zip() -> bytes:
    archive = bytearray(zip_bytes({"a.py": VALID_CODE}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        position = archive.index(signature) + offset
        archive[position : position + 2] = struct.pack("<H", 1)
    return bytes(archive)


def test_an_encrypted_file_is_reported(world: World) -> None:
    assert (
        "encrypted"
        in results_by_path(upload_file(world, "x.zip", encrypted_zip()))["a.py"]["message"]
    )


@pytest.mark.parametrize(
    ("filename", "content", "field"),
    [
        ("x.zip", b"no archive", "content"),
        ("x.zip", zip_bytes({"a.py": VALID_CODE})[:-30], "content"),
        ("x.zip", zip_bytes({"readme.md": "text"}), "content"),
        ("x.zip", zip_bytes({f"s{n}.py": "" for n in range(201)}), "content"),
        ("x.zip", zip_bytes({f"s{n}.py": b"#" * 500_000 for n in range(20)}), "content"),
        ("x.zip", zip_bytes({"a.py": VALID_CODE}) + b"PK\x01\x02" * 10_001, "content"),
        ("x.zip", b"", "content"),
        ("x.tar.gz", b"x", "filename"),
        ("../x.py", b"x", "filename"),
    ],
)
def test_an_invalid_upload_is_rejected_with_the_name_of_the_field(
    world: World, filename: str, content: bytes, field: str
) -> None:
    answer = upload_file(world, filename, content)
    assert answer.status_code == 422, answer.content
    assert {error["field"] for error in answer.json()["errors"]} == {field}


def test_invalid_base64_is_refused(world: World) -> None:
    answer = world.client().post(URL, {"filename": "a.py", "content": "no base64!"})
    assert answer.status_code == 422
    assert "base64" in answer.json()["errors"][0]["message"]


def test_an_upload_that_needs_an_admins_approval_is_rejected_as_a_whole(world: World) -> None:
    code_for_any_host = VALID_CODE.replace(
        'streams = ["orders"]', 'streams = ["orders"]\n    hosts = ["*"]'
    )
    archive = zip_bytes({"a.py": VALID_CODE, "b.py": code_for_any_host})
    assert upload_file(world, "x.zip", archive, approve=True).status_code == 403
    assert list_sources(world) == {}
    body = {"filename": "x.zip", "content": base64.b64encode(archive).decode(), "approve": True}
    assert world.client(Role.ADMIN).post(URL, body).status_code == 200


def test_a_viewer_may_not_upload_and_an_upload_changes_only_the_senders_org(world: World) -> None:
    results_by_path(upload_file(world, "shop.py", VALID_CODE.encode()))
    body = {"filename": "shop.py", "content": base64.b64encode(VALID_CODE.encode() + b"#").decode()}
    assert world.client(Role.VIEWER).post(URL, body).status_code == 403
    other_world = make_world("Other")
    assert results_by_path(other_world.client().post(URL, body))["shop.py"]["outcome"] == "created"
    assert list_sources(world)["shop"]["latest_version"] == 1
