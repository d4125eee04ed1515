"""The files a run may read: the org's own files on disk or in a bucket, and files it downloads."""

from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast
from urllib.parse import unquote, urlsplit

import requests
from pyarrow import fs

from apps.egress.http import url_without_secrets
from apps.engine.contract import StorageRoot
from apps.engine.failures import ConfigurationError, SourceError
from apps.engine.sources.files.patterns import fixed_folder, is_pattern, matches
from apps.engine.sources.http.answers import (
    Answer,
    UnhelpfulSourceError,
    refused,
    status_line,
    unanswered,
)
from apps.engine.sources.http.session import SourceSession

MAX_FILES = 10_000
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Found:
    """A file: its path as users write it, its size in bytes, and a mark that changes with its content."""

    path: str
    size: int
    mark: str


class Area(Protocol):
    """A collection of files."""

    def find(self, path: str) -> Sequence[Found]:
        """Return the files that match a path or pattern, ordered by path. Raises EngineError."""

    def open(self, found: Found) -> BinaryIO:
        """Open the file as seekable bytes. Raises EngineError."""


class StoredArea:
    """The files below a storage root: a folder, an S3 bucket or a Google Cloud Storage bucket."""

    def __init__(self, root: StorageRoot) -> None:
        self._system, base = _file_system(root)
        self._base = "/".join(part for part in (base, root.prefix.strip("/")) if part)
        self._folder = Path(self._base).resolve() if root.url.startswith("file://") else None

    def find(self, path: str) -> list[Found]:
        if not is_pattern(path):
            info = self._system.get_file_info(f"{self._base}/{path}")
            return [self._found(path, info)] if info.type == fs.FileType.File else []
        return sorted(self._matching(path), key=lambda found: found.path)[:MAX_FILES]

    def open(self, found: Found) -> BinaryIO:
        self._require_inside(found.path)
        try:
            return cast("BinaryIO", self._system.open_input_file(f"{self._base}/{found.path}"))
        except FileNotFoundError as error:
            raise SourceError(f"the file {found.path!r} is gone") from error

    def _matching(self, pattern: str) -> Iterator[Found]:
        folder = "/".join(part for part in (self._base, fixed_folder(pattern)) if part)
        selector = fs.FileSelector(folder, allow_not_found=True, recursive=True)
        for info in self._system.get_file_info(selector):
            path = info.path.removeprefix(f"{self._base}/")
            if info.type == fs.FileType.File and matches(pattern, path):
                with suppress(ConfigurationError):  # A pattern skips files outside the area.
                    yield self._found(path, info)

    def _found(self, path: str, info: fs.FileInfo) -> Found:
        self._require_inside(path)
        return Found(path, info.size, f"{info.size}-{info.mtime_ns}")

    def _require_inside(self, path: str) -> None:
        """Raise if a symbolic link leads out of the area."""
        if self._folder is None:
            return
        target = Path(self._base, path).resolve()
        if not target.is_relative_to(self._folder):
            raise ConfigurationError(f"{path!r} leads out of the uploaded files")


class WebArea:
    """One file at a web address, downloaded once into an unnamed temporary file."""

    def __init__(self, session: SourceSession, *, max_bytes: int) -> None:
        self._session = session
        self._max_bytes = max_bytes
        self._file: BinaryIO | None = None
        self._found: Found | None = None

    def find(self, path: str) -> list[Found]:
        if self._found is None:
            self._found = self._download(path)
        return [self._found]

    def open(self, found: Found) -> BinaryIO:
        if self._file is None:
            self.find(found.path)
        copy = os.fdopen(os.dup(cast("BinaryIO", self._file).fileno()), "rb")
        copy.seek(0)
        return copy

    def _download(self, url: str) -> Found:
        asked = f"GET {url_without_secrets(url)}"
        try:
            with self._session.get(url, stream=True) as response:
                if response.status_code >= 400:
                    raise refused(response.status_code, _refusal(response, asked))
                return self._keep(url, response)
        except requests.RequestException as error:
            raise unanswered(error, asked) from error

    def _keep(self, url: str, response: requests.Response) -> Found:
        file = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - kept open while pages are read
        size = 0
        for chunk in response.iter_content(CHUNK):
            size += len(chunk)
            if size > self._max_bytes:
                file.close()
                raise UnhelpfulSourceError(
                    f"the file is larger than {self._max_bytes >> 20:,} MB (`max_download_mb`)",
                    evidence=(f"GET {url_without_secrets(url)}",),
                )
            file.write(chunk)
        file.flush()
        self._file = file
        headers = response.headers
        mark = headers.get("ETag") or headers.get("Last-Modified") or ""
        return Found(url_without_secrets(url), size, f"{size}-{mark}")


def unpacked(file: BinaryIO, path: str) -> BinaryIO:
    """Return the file itself, or its decompressed content if it is gzip."""
    if not path.partition("?")[0].lower().endswith(".gz"):
        return file
    return cast("BinaryIO", gzip.GzipFile(fileobj=file))


def _refusal(response: requests.Response, asked: str) -> Answer:
    body = response.raw.read(1000, decode_content=True) or b""
    return Answer(status_line(response), asked, response.headers, body, {})


def _file_system(root: StorageRoot) -> tuple[fs.FileSystem, str]:
    parts = urlsplit(root.url)
    if parts.scheme == "file":
        return fs.LocalFileSystem(), unquote(parts.path).rstrip("/")
    base = f"{parts.netloc}{parts.path}".rstrip("/")
    options = _with_endpoint(root.options)
    if parts.scheme == "s3":
        return fs.S3FileSystem(**options), base
    if parts.scheme == "gs":
        # A custom endpoint is an emulator or a gateway, which does not support Google's authentication.
        return fs.GcsFileSystem(anonymous="endpoint_override" in options, **options), base
    raise ConfigurationError(f"files cannot be read from {parts.scheme}://")


def _with_endpoint(options: Mapping[str, Any]) -> dict[str, Any]:
    """Pass the endpoint's scheme to pyarrow as a separate option."""
    scheme, separator, host = str(options.get("endpoint_override") or "").partition("://")
    if not separator:
        return dict(options)
    return {**options, "scheme": scheme, "endpoint_override": host}
