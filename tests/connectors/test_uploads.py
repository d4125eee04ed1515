"""Uploads of a `.py` or a `.zip`: which files become sources, which are refused, and hostile archives."""

from __future__ import annotations

import base64
import io
import stat
import struct
import zipfile
from typing import Any

import pytest

from apps.orgs.roles import Role
from tests.connectors.test_repositories import GOOD, SOURCES, sources
from tests.world import World, make_world

URL = f"{SOURCES}/upload"


def upload(world: World, filename: str, content: bytes, **more: Any) -> Any:
    sent = {"filename": filename, "content": base64.b64encode(content).decode(), **more}
    return world.client().post(URL, sent)


def zipped(members: dict[str, bytes | str], **kwargs: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content, **kwargs)
    return buffer.getvalue()


def by_path(answer: Any) -> dict[str, dict[str, Any]]:
    assert answer.status_code == 200, answer.content
    return {one["path"]: one for one in answer.json()["results"]}


def test_a_file_becomes_a_source_and_the_next_one_its_next_version(world: World) -> None:
    made = by_path(upload(world, "shop.py", GOOD.encode()))["shop.py"]
    assert (made["outcome"], made["version"]) == ("created", 1)
    shop = sources(world)["shop"]
    assert (shop["id"], shop["origin"]) == (made["source_id"], "upload")
    assert by_path(upload(world, "shop.py", GOOD.encode()))["shop.py"]["outcome"] == "unchanged"
    again = by_path(upload(world, "shop.py", GOOD.encode() + b"# more\n", approve=True))["shop.py"]
    assert (again["outcome"], again["version"]) == ("updated", 2)
    assert sources(world)["shop"]["approved_version"] == 2
    versions = world.client().get(f"{SOURCES}/{shop['id']}/versions").json()["results"]
    assert versions[0]["note"] == "Uploaded shop.py"


def test_an_archive_becomes_a_source_for_each_good_file(world: World) -> None:
    archive = zipped(
        {
            "pack/a.py": GOOD,
            "pack/b.py": "def broken(:",
            "pack/_helper.py": "x = 1",
            "pack/test_a.py": "x = 1",
            "__MACOSX/pack/a.py": "x",
            "pack/readme.md": "text",
            "pack/c.py": b"\xff",
        }
    )
    found = by_path(upload(world, "pack.zip", archive))
    assert {path: one["outcome"] for path, one in found.items()} == {
        "pack/a.py": "created",
        "pack/b.py": "failed",
        "pack/c.py": "failed",
    }
    assert found["pack/b.py"]["message"].startswith("Line 1: Syntax error")
    assert set(sources(world)) == {"a"}


def test_paths_and_links_that_lead_elsewhere_are_refused_one_by_one(world: World) -> None:
    link = zipfile.ZipInfo("link.py")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("../up.py", "/abs.py", "a/../../b.py", "c\\d.py"):
            archive.writestr(name, GOOD)
        archive.writestr(link, "/etc/passwd")
        archive.writestr("fine.py", GOOD)
    found = by_path(upload(world, "x.zip", buffer.getvalue()))
    good = [path for path, one in found.items() if one["outcome"] == "created"]
    assert good == ["fine.py"]
    assert "symbolic link" in found["link.py"]["message"]
    assert "points outside" in found["../up.py"]["message"]


def test_a_bomb_is_inflated_no_further_than_a_file_may_be_large(world: World) -> None:
    archive = zipped({"bomb.py": b"#" * (300 << 20), "fine.py": GOOD})
    assert len(archive) < 1 << 20
    found = by_path(upload(world, "bomb.zip", archive))
    assert "larger" in found["bomb.py"]["message"]
    assert found["fine.py"]["outcome"] == "created"


def damaged() -> bytes:
    """Invalid compressed data, in an archive that is otherwise valid."""
    archive = bytearray(zipped({"a.py": GOOD}))
    place = archive.index(b"a.py") + len(b"a.py")
    archive[place : place + 8] = b"\xff" * 8
    return bytes(archive)


@pytest.mark.parametrize("way", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_can_only_be_inflated_as_a_whole_is_not(world: World, way: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", way) as archive:
        archive.writestr("a.py", GOOD)
    message = by_path(upload(world, "x.zip", buffer.getvalue()))["a.py"]["message"]
    assert "compression method is not supported" in message


def test_a_damaged_file_is_reported_and_the_others_are_read(world: World) -> None:
    assert "could not be unpacked" in by_path(upload(world, "x.zip", damaged()))["a.py"]["message"]


def encrypted() -> bytes:
    archive = bytearray(zipped({"a.py": GOOD}))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = archive.index(mark) + at
        archive[place : place + 2] = struct.pack("<H", 1)
    return bytes(archive)


def test_an_encrypted_file_is_reported(world: World) -> None:
    assert "encrypted" in by_path(upload(world, "x.zip", encrypted()))["a.py"]["message"]


@pytest.mark.parametrize(
    ("filename", "content", "field"),
    [
        ("x.zip", b"no archive", "content"),
        ("x.zip", zipped({"a.py": GOOD})[:-30], "content"),
        ("x.zip", zipped({"readme.md": "text"}), "content"),
        ("x.zip", zipped({f"s{n}.py": "" for n in range(201)}), "content"),
        ("x.zip", zipped({f"s{n}.py": b"#" * 500_000 for n in range(20)}), "content"),
        ("x.zip", zipped({"a.py": GOOD}) + b"PK\x01\x02" * 10_001, "content"),
        ("x.zip", b"", "content"),
        ("x.tar.gz", b"x", "filename"),
        ("../x.py", b"x", "filename"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_field(
    world: World, filename: str, content: bytes, field: str
) -> None:
    answer = upload(world, filename, content)
    assert answer.status_code == 422, answer.content
    assert {error["field"] for error in answer.json()["errors"]} == {field}


def test_invalid_base64_is_refused(world: World) -> None:
    answer = world.client().post(URL, {"filename": "a.py", "content": "no base64!"})
    assert answer.status_code == 422
    assert "base64" in answer.json()["errors"][0]["message"]


def test_code_for_any_host_takes_an_admin_and_nothing_else_is_kept(world: World) -> None:
    anywhere = GOOD.replace('streams = ["orders"]', 'streams = ["orders"]\n    hosts = ["*"]')
    archive = zipped({"a.py": GOOD, "b.py": anywhere})
    assert upload(world, "x.zip", archive, approve=True).status_code == 403
    assert sources(world) == {}
    sent = {"filename": "x.zip", "content": base64.b64encode(archive).decode(), "approve": True}
    assert world.client(Role.ADMIN).post(URL, sent).status_code == 200


def test_a_viewer_may_not_upload_and_a_stranger_changes_only_its_own(world: World) -> None:
    by_path(upload(world, "shop.py", GOOD.encode()))
    sent = {"filename": "shop.py", "content": base64.b64encode(GOOD.encode() + b"#").decode()}
    assert world.client(Role.VIEWER).post(URL, sent).status_code == 403
    other = make_world("Other")
    assert by_path(other.client().post(URL, sent))["shop.py"]["outcome"] == "created"
    assert sources(world)["shop"]["latest_version"] == 1
