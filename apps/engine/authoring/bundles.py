"""Validate several files at once: the files of an archive or of a Git repository.

Each file becomes `{"path", "text", "report"}`, or `{"path", "problem"}` if it cannot be used.
"""

from __future__ import annotations

import base64
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from apps.engine.answers import File, UnpackedFiles
from apps.engine.authoring.text import is_source_file
from apps.engine.authoring.validation import validate
from apps.engine.failures import ConfigurationError

Payload = Mapping[str, Any]

MAX_FILES = 200
MAX_FILE_BYTES = 512 * 1024  # bytes per file
MAX_TOTAL_BYTES = 8 * 1024 * 1024  # bytes of all files of an archive
MAX_ARCHIVE_ENTRIES = 10_000  # files and folders per archive
ENTRY_SIGNATURE = b"PK\x01\x02"  # signature at the start of each entry of an archive's directory
# With these methods zipfile decompresses in pieces, so a limit can be enforced. With other methods it
# decompresses a whole file at once.
STREAMED_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ARCHIVE_ERRORS = (
    zipfile.BadZipFile,
    NotImplementedError,
    EOFError,
    OSError,
    ValueError,
    struct.error,
    zlib.error,
)
MAX_PATH_LENGTH = 500  # characters
MAX_PROBLEM_LENGTH = 500  # characters


def unpack(payload: Payload) -> UnpackedFiles:
    """Return `{"files"}` for a `.py` or `.zip` file, which is `{"filename", "content"}` with base64 content.

    Raises ConfigurationError if the archive cannot be read.
    """
    name = payload["filename"]
    try:
        content = base64.b64decode(payload["content"], validate=True)
    except ValueError as error:  # also text that is not ASCII
        raise ConfigurationError("the content is not valid base64") from error
    if name.lower().endswith(".zip"):
        return {"files": list(add_reports(_unzip(content)))}
    return {"files": list(add_reports([_decode_file(name, content)]))}


def _unzip(content: bytes) -> list[File]:
    # Check the number of entries before zipfile creates an object for each entry.
    if content.count(ENTRY_SIGNATURE) > MAX_ARCHIVE_ENTRIES:
        raise ConfigurationError(f"the archive has more than {MAX_ARCHIVE_ENTRIES:,} entries")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [member for member in archive.infolist() if _is_source_member(member)]
            if len(members) > MAX_FILES:
                raise ConfigurationError(
                    f"the archive has {len(members):,} Python files; at most {MAX_FILES} are allowed"
                )
            return list(_read_members(archive, members))
    except ARCHIVE_ERRORS as error:
        raise ConfigurationError(f"the archive cannot be read: {error}") from error


def _read_members(archive: zipfile.ZipFile, members: Iterable[zipfile.ZipInfo]) -> Iterator[File]:
    total_size = 0
    for member in members:
        row = _read_member(archive, member)
        total_size += len(row.get("text", ""))
        if total_size > MAX_TOTAL_BYTES:
            raise ConfigurationError(
                f"the files of the archive are larger than {MAX_TOTAL_BYTES:,} bytes together"
            )
        yield row


def _is_source_member(member: zipfile.ZipInfo) -> bool:
    name = member.filename.rpartition("/")[2]
    return is_source_file(name) and not member.filename.startswith("__MACOSX/")


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> File:
    path = member.filename
    if path.startswith("/") or "\\" in path or ".." in path.split("/"):
        return {"path": path, "problem": "Its path points outside the archive."}
    if stat.S_ISLNK(member.external_attr >> 16):
        return {"path": path, "problem": "It is a symbolic link, which is not followed."}
    if member.flag_bits & 1:
        return {"path": path, "problem": "It is encrypted."}
    if member.compress_type not in STREAMED_METHODS:
        return {"path": path, "problem": "Its compression method is not supported: use deflate."}
    try:
        with archive.open(member) as file:
            # Decompress at most one byte more than allowed.
            return _decode_file(path, file.read(MAX_FILE_BYTES + 1))
    except ARCHIVE_ERRORS as error:
        return {"path": path, "problem": f"It could not be unpacked: {error}."}


def _decode_file(path: str, data: bytes) -> File:
    if len(data) > MAX_FILE_BYTES:
        return {"path": path, "problem": f"It is larger than {MAX_FILE_BYTES:,} bytes."}
    try:
        return {"path": path, "text": data.decode("utf-8-sig")}
    except UnicodeDecodeError:
        return {"path": path, "problem": "It is not UTF-8 text."}


def add_reports(rows: Iterable[Mapping[str, object]]) -> Iterator[File]:
    """Add a report to each file. The values are checked first, because untrusted code may return them."""
    seen_paths: set[str] = set()
    for row in rows:
        path, text, problem = row.get("path"), row.get("text"), row.get("problem")
        if (
            not isinstance(path, str)
            or not path
            or len(path) > MAX_PATH_LENGTH
            or path in seen_paths
        ):
            raise ConfigurationError("two files have the same path, or a path is empty or too long")
        seen_paths.add(path)
        if not isinstance(text, str):
            yield {"path": replace_nul(path), "problem": replace_nul(problem)[:MAX_PROBLEM_LENGTH]}
        elif "\0" in text or "\0" in path:
            yield {"path": replace_nul(path), "problem": "It contains the NUL character."}
        else:
            yield {"path": path, "text": text, "report": validate(text).to_json()}


def replace_nul(value: Any) -> str:
    """Replace NUL characters, which PostgreSQL cannot store, with a visible character."""
    return value.replace("\0", "␀") if isinstance(value, str) else ""
