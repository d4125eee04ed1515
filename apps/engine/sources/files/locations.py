"""The files that a run may read: the org's own files on disk or in a bucket, and one file to download."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast
from urllib.parse import unquote, urlsplit

import requests
from pyarrow import fs

from apps.egress.http import url_without_secrets
from apps.engine.contract import StorageRoot
from apps.engine.failures import ConfigurationError, SourceError
from apps.engine.sources.files.patterns import (
    detect_format,
    fixed_folder,
    is_pattern,
    matches,
)
from apps.engine.sources.files.streams import CHUNK_BYTES
from apps.engine.sources.http.responses import (
    CompleteResponse,
    PermanentSourceError,
    request_failure,
    status_failure,
    status_line,
)
from apps.engine.sources.http.session import SourceSession

MAX_FILES = 10_000
WHOLE_FILE_STATUSES = frozenset({HTTPStatus.OK, HTTPStatus.NON_AUTHORITATIVE_INFORMATION})
SAVED_ENCODINGS = frozenset({"gzip", "x-gzip", "zstd"})


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file: its path as users write it, its size in bytes, and a version that changes with its content."""

    path: str
    size: int
    version: str


class FileLocation(Protocol):
    """A place with files to read."""

    def find(self, path: str) -> Sequence[FoundFile]:
        """Return the files that match a path or pattern, ordered by path. Raises EngineError."""

    def list_files(self, path: str) -> Sequence[FoundFile]:
        """Return what `find` returns, without reading a file. Raises EngineError."""

    def open(self, file: FoundFile) -> BinaryIO:
        """Open the file as seekable bytes. Raises EngineError."""


class StorageLocation:
    """The files below a storage root: a folder, an S3 bucket or a Google Cloud Storage bucket."""

    def __init__(self, root: StorageRoot) -> None:
        self._system, base = _file_system(root)
        self._base = "/".join(part for part in (base, root.prefix.strip("/")) if part)
        self._folder = Path(self._base).resolve() if root.url.startswith("file://") else None

    def find(self, path: str) -> list[FoundFile]:
        if not is_pattern(path):
            info = self._system.get_file_info(f"{self._base}/{path}")
            return [self._describe_file(path, info)] if info.type == fs.FileType.File else []
        files = sorted(self._matching_files(path), key=lambda file: file.path)
        if len(files) > MAX_FILES:
            raise ConfigurationError(
                f"more than {MAX_FILES:,} files match {path!r}; use several patterns, each for a part of them"
            )
        return files

    def list_files(self, path: str) -> list[FoundFile]:
        return self.find(path)

    def open(self, file: FoundFile) -> BinaryIO:
        self._require_inside(file.path)
        try:
            return cast("BinaryIO", self._system.open_input_file(f"{self._base}/{file.path}"))
        except FileNotFoundError as error:
            raise SourceError(f"the file {file.path!r} does not exist any more") from error

    def _matching_files(self, pattern: str) -> Iterator[FoundFile]:
        folder = "/".join(part for part in (self._base, fixed_folder(pattern)) if part)
        selector = fs.FileSelector(folder, allow_not_found=True, recursive=True)
        for info in self._system.get_file_info(selector):
            path = info.path.removeprefix(f"{self._base}/")
            if info.type == fs.FileType.File and matches(pattern, path) and not _is_marker(info):
                with suppress(ConfigurationError):  # Skip files outside the folder.
                    yield self._describe_file(path, info)

    def _describe_file(self, path: str, info: fs.FileInfo) -> FoundFile:
        self._require_inside(path)
        return FoundFile(path, info.size, f"{info.size}-{info.mtime_ns}")

    def _require_inside(self, path: str) -> None:
        """Raise ConfigurationError if the path or a symbolic link leads out of the folder."""
        if self._folder is None:
            return
        target = Path(self._base, path).resolve()
        if not target.is_relative_to(self._folder):
            raise ConfigurationError(f"{path!r} leads out of the uploaded files")


class WebLocation:
    """One file at a web address, downloaded once into an unnamed temporary file."""

    def __init__(self, session: SourceSession, *, max_bytes: int) -> None:
        self._session = session
        self._max_bytes = max_bytes
        self._content: BinaryIO | None = None
        self._file: FoundFile | None = None

    def find(self, path: str) -> list[FoundFile]:
        if self._file is None:
            self._file = self._download(path)
        return [self._file]

    def list_files(self, path: str) -> list[FoundFile]:
        """Return the file with the version that the server tells before the content, which is not downloaded."""
        with self._request(path) as response:
            version = _version_of(response)
            if not version:
                raise PermanentSourceError(
                    "the server sends neither ETag nor Last-Modified, so a new version of the file cannot be seen without"
                    " a download",
                    evidence=(f"GET {url_without_secrets(path)}", status_line(response)),
                )
            size = response.headers.get("Content-Length", "")
            return [
                FoundFile(url_without_secrets(path), int(size) if size.isdigit() else 0, version)
            ]

    def open(self, file: FoundFile) -> BinaryIO:
        if self._content is None:
            self.find(file.path)
        copy = os.fdopen(os.dup(cast("BinaryIO", self._content).fileno()), "rb")
        copy.seek(0)
        return copy

    def _download(self, url: str) -> FoundFile:
        with self._request(url) as response:
            # Packed data is saved as it is. Its reader finds out if the end is missing, which HTTP clients do not.
            if response.headers.get("Content-Encoding", "").lower() in SAVED_ENCODINGS:
                del response.raw.headers["Content-Encoding"]
            return self._save_content(url, response)

    @contextmanager
    def _request(self, url: str) -> Iterator[requests.Response]:
        """Yield the response with the whole file, whose content is not read yet. Raises EngineError."""
        request_line = f"GET {url_without_secrets(url)}"
        try:
            with self._session.get(url, stream=True) as response:
                _require_whole_file(response, request_line)
                yield response
        except requests.RequestException as error:
            raise request_failure(error, request_line) from error

    def _save_content(self, url: str, response: requests.Response) -> FoundFile:
        file = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - it stays open while pages are read
        size = 0
        for chunk in response.iter_content(CHUNK_BYTES):
            size += len(chunk)
            if size > self._max_bytes:
                file.close()
                raise PermanentSourceError(
                    f"the file is larger than {self._max_bytes >> 20:,} MB (`max_download_mb`)",
                    evidence=(f"GET {url_without_secrets(url)}",),
                )
            file.write(chunk)
        file.flush()
        self._content = file
        return FoundFile(url_without_secrets(url), size, f"{size}-{_version_of(response)}")


def _version_of(response: requests.Response) -> str:
    return response.headers.get("ETag") or response.headers.get("Last-Modified") or ""


def _is_marker(info: fs.FileInfo) -> bool:
    """Whether a file has no data and no name of a data file, such as the `_SUCCESS` of Spark."""
    return info.size == 0 and detect_format(info.path) is None


def _require_whole_file(response: requests.Response, request_line: str) -> None:
    """Raise EngineError for a response that is not the whole file, such as 204, 206 and 304."""
    if response.status_code >= 400:
        raise status_failure(response.status_code, _failed_response(response, request_line))
    if response.status_code not in WHOLE_FILE_STATUSES:
        is_later = response.status_code == HTTPStatus.ACCEPTED
        error_type = SourceError if is_later else PermanentSourceError
        raise error_type(
            f"the source did not return the file, but status {response.status_code}",
            evidence=(request_line, status_line(response)),
        )


def _failed_response(response: requests.Response, request_line: str) -> CompleteResponse:
    body = response.raw.read(1000, decode_content=True) or b""
    return CompleteResponse(status_line(response), request_line, response.headers, body, {})


def _file_system(root: StorageRoot) -> tuple[fs.FileSystem, str]:
    parts = urlsplit(root.url)
    if parts.scheme == "file":
        return fs.LocalFileSystem(), unquote(parts.path).rstrip("/")
    base = f"{parts.netloc}{parts.path}".rstrip("/")
    options = _split_endpoint_scheme(root.options)
    if parts.scheme == "s3":
        return fs.S3FileSystem(**options), base
    if parts.scheme == "gs":
        # A custom endpoint is an emulator or a gateway, which does not support Google's authentication.
        return fs.GcsFileSystem(anonymous="endpoint_override" in options, **options), base
    raise ConfigurationError(f"files cannot be read from {parts.scheme}://")


def _split_endpoint_scheme(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with the endpoint's scheme as a separate option, as pyarrow expects it."""
    scheme, separator, host = str(options.get("endpoint_override") or "").partition("://")
    if not separator:
        return dict(options)
    return {**options, "scheme": scheme, "endpoint_override": host}
