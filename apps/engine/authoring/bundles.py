"""Validate several files at once: the contents of an archive, or the files read from a Git repository.

Each file becomes `{"path", "text", "report"}`, or `{"path", "problem"}` if it cannot be used.
"""

from __future__ import annotations

import base64
import binascii
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from apps.engine.answers import File, Unpacked
from apps.engine.authoring.text import is_source_file
from apps.engine.authoring.validation import validate
from apps.engine.failures import ConfigurationError

Payload = Mapping[str, Any]

MAX_FILES = 200
MAX_BYTES = 512 * 1024  # bytes per file
MAX_TOGETHER = 8 * 1024 * 1024  # bytes of all files of an archive together
MAX_ENTRIES = 10_000  # Python files per archive
ENTRY = b"PK\x01\x02"  # signature at the start of each entry of an archive's directory
# zipfile decompresses these methods in pieces, so a limit can be enforced; others are decompressed at once.
INFLATED_BY_THE_PIECE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
UNREADABLE = (
    zipfile.BadZipFile,
    NotImplementedError,
    EOFError,
    OSError,
    ValueError,
    struct.error,
    zlib.error,
)
PATH = 500  # characters


def unpack(payload: Payload) -> Unpacked:
    """Return `{"files"}` for the `{"filename", "content"}` (base64) of a `.py` or `.zip` file.

    Raises ConfigurationError.
    """
    name = payload["filename"]
    try:
        content = base64.b64decode(payload["content"], validate=True)
    except binascii.Error as error:
        raise ConfigurationError("the content is not valid base64") from error
    if name.lower().endswith(".zip"):
        return {"files": list(reported(_unzipped(content)))}
    return {"files": list(reported([_row(name, content)]))}


def _unzipped(content: bytes) -> list[File]:
    if (
        content.count(ENTRY) > MAX_ENTRIES
    ):  # Check the count before zipfile creates an object per entry.
        raise ConfigurationError(f"the archive has more than {MAX_ENTRIES:,} entries")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [one for one in archive.infolist() if _is_source(one)]
            if len(members) > MAX_FILES:
                raise ConfigurationError(
                    f"the archive has {len(members):,} Python files; {MAX_FILES} may be read"
                )
            return list(_members(archive, members))
    except UNREADABLE as error:
        raise ConfigurationError(f"the archive cannot be read: {error}") from error


def _members(archive: zipfile.ZipFile, members: Iterable[zipfile.ZipInfo]) -> Iterator[File]:
    together = 0
    for member in members:
        row = _member(archive, member)
        together += len(row.get("text", ""))
        if together > MAX_TOGETHER:
            raise ConfigurationError(
                f"the files of the archive are larger than {MAX_TOGETHER:,} bytes together"
            )
        yield row


def _is_source(member: zipfile.ZipInfo) -> bool:
    name = member.filename.rpartition("/")[2]
    return is_source_file(name) and not member.filename.startswith("__MACOSX/")


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> File:
    path = member.filename
    if path.startswith("/") or "\\" in path or ".." in path.split("/"):
        return {"path": path, "problem": "Its path points outside the archive."}
    if stat.S_ISLNK(member.external_attr >> 16):
        return {"path": path, "problem": "It is a symbolic link, which is not followed."}
    if member.flag_bits & 1:
        return {"path": path, "problem": "It is encrypted."}
    if member.compress_type not in INFLATED_BY_THE_PIECE:
        return {"path": path, "problem": "Its compression method is not supported: use deflate."}
    try:
        with archive.open(member) as file:
            return _row(path, file.read(MAX_BYTES + 1))  # Never decompress more than this.
    except UNREADABLE as error:
        return {"path": path, "problem": f"It could not be unpacked: {error}."}


def _row(path: str, data: bytes) -> File:
    if len(data) > MAX_BYTES:
        return {"path": path, "problem": f"It is larger than {MAX_BYTES:,} bytes."}
    try:
        return {"path": path, "text": data.decode("utf-8-sig")}
    except UnicodeDecodeError:
        return {"path": path, "problem": "It is not UTF-8 text."}


def reported(rows: Iterable[Mapping[str, object]]) -> Iterator[File]:
    """Add a report to each file. The rows may come from untrusted code, so their shape is checked first."""
    seen: set[str] = set()
    for row in rows:
        path, text, problem = row.get("path"), row.get("text"), row.get("problem")
        if not isinstance(path, str) or not path or len(path) > PATH or path in seen:
            raise ConfigurationError("two files have the same path, or a path is empty or too long")
        seen.add(path)
        if not isinstance(text, str):
            yield {"path": storable(path), "problem": storable(problem)[:PATH]}
        elif "\0" in text or "\0" in path:
            yield {"path": storable(path), "problem": "It contains the NUL character."}
        else:
            yield {"path": path, "text": text, "report": validate(text).to_json()}


def storable(value: Any) -> str:
    """Replace NUL characters, which PostgreSQL cannot store, with a visible placeholder."""
    return value.replace("\0", "␀") if isinstance(value, str) else ""
