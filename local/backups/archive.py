"""The archive of a backup: a tar file of `drover.json`, the dumps, the stored files, and the checksums of all members.

The checksums are the last member. An archive without them comes from an interrupted backup.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from local.errors import LocalError

FORMAT_VERSION = 1
HEADER_NAME, CHECKSUMS_NAME = "drover.json", "checksums.txt"
DATABASE_DUMP, DEMO_DUMP, BUCKET_LISTING = "database.dump", "demo-warehouse.dump", "bucket.jsonl"
STORAGE_FOLDER = "storage/"
CHUNK_SIZE = 1 << 20  # bytes

OnBytes = Callable[[int], None]  # called with the number of bytes that were processed


@dataclass(frozen=True)
class Header:
    """The description of a backup. A restore checks it before it changes anything."""

    id: str
    at: str  # ISO 8601, UTC
    server: int  # PostgreSQL's version number, such as 180006
    pg_dump: int  # major version of pg_dump, which determines the dump's format
    migrations: list[list[str]]  # [app, name] of applied migrations
    storage: dict[str, str]  # kind, and the bucket if there is one
    keys: dict[str, list[str]]  # {name: fingerprints}
    bytes: int  # total size of the stored files
    format: int = FORMAT_VERSION


class Writer:
    """Writes an archive: first its members, then their checksums."""

    def __init__(self, file: IO[bytes], on_bytes: OnBytes) -> None:
        self._tar = tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed by `close`
        self._lines: list[str] = []
        self._on_bytes = on_bytes

    def add(self, name: str, path: Path) -> None:
        """Add a file. It must not change while it is added."""
        with path.open("rb") as content:
            self._add(name, content, path.stat().st_size)

    def add_text(self, name: str, text: str) -> None:
        content = text.encode()
        self._add(name, io.BytesIO(content), len(content))

    def close(self) -> None:
        """Add the checksums. Without this call the archive is refused as incomplete."""
        self.add_text(CHECKSUMS_NAME, "".join(self._lines))
        self._tar.close()

    def _add(self, name: str, content: IO[bytes], size: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o600
        reader = _HashingReader(content, self._on_bytes)
        self._tar.addfile(member, reader)
        _clear_members(self._tar)
        self._lines.append(f"{reader.digest} {size} {name}\n")


class _HashingReader:
    """Reads a file, and hashes the content that is read."""

    def __init__(self, content: IO[bytes], on_bytes: OnBytes) -> None:
        self._content, self._on_bytes, self._hash = content, on_bytes, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        chunk = self._content.read(size)
        self._hash.update(chunk)
        self._on_bytes(len(chunk))
        return chunk

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


def read_header(path: Path) -> Header:
    """Return the description of the backup. Raises LocalError if this version of Drover cannot read it."""
    with _open_members(path) as members:
        name, content = next(members, ("", io.BytesIO()))
        if name != HEADER_NAME:
            raise LocalError(f"{path} is not a backup of Drover.")
        fields: dict[str, Any] = json.loads(content.read())
    if fields.get("format") != FORMAT_VERSION:
        raise LocalError(
            f"{path} has format {fields.get('format')}, and this version of Drover reads format {FORMAT_VERSION}: "
            "restore it with the version of Drover that created it, or a later one."
        )
    return Header(**fields)


def write_header(writer: Writer, header: Header) -> None:
    writer.add_text(HEADER_NAME, json.dumps(asdict(header), indent=1) + "\n")


def verify(path: Path, on_bytes: OnBytes) -> None:
    """Compare every member with its checksum. Raises LocalError for a damaged or incomplete file."""
    checksum_lines: list[str] = []
    with _open_members(path) as members:
        for name, content in members:
            if name == CHECKSUMS_NAME:
                if content.read().decode() == "".join(checksum_lines):
                    return
                raise LocalError(f"{path} is damaged: its checksums differ. Use another backup.")
            digest, size = hashlib.sha256(), 0
            while chunk := content.read(CHUNK_SIZE):
                digest.update(chunk)
                size += len(chunk)
                on_bytes(len(chunk))
            checksum_lines.append(f"{digest.hexdigest()} {size} {name}\n")
    raise LocalError(f"{path} is incomplete: the backup was interrupted. Use another backup.")


def extract(path: Path, folder: Path, on_bytes: OnBytes) -> None:
    """Write every member below `folder`. Only the owner can read the files."""
    with _open_members(path) as members:
        for name, content in members:
            target = folder / _checked_name(name)
            _make_private_folder(target.parent)
            with target.open("xb") as file:
                target.chmod(0o600)
                while chunk := content.read(CHUNK_SIZE):
                    file.write(chunk)
                    on_bytes(len(chunk))


@contextmanager
def _open_members(path: Path) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
    """Yield name and content of each member, in order. Raises LocalError if one cannot be read."""
    try:
        with tarfile.open(path, "r|") as tar:
            yield _read_members(tar)
    except (tarfile.TarError, EOFError, ValueError, TypeError) as error:
        raise LocalError(f"{path} is damaged or not a backup of Drover ({error}).") from error


def _read_members(tar: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    while (member := tar.next()) is not None:
        content = tar.extractfile(member) if member.isreg() else None
        if content is None:
            raise LocalError(
                f"{member.name!r} in the archive is not a file, so Drover did not create the archive: "
                "use another backup."
            )
        yield member.name, content
        _clear_members(tar)


def _clear_members(tar: tarfile.TarFile) -> None:
    """Empty tarfile's list of processed members. For a million files it would take a gigabyte of memory."""
    members: list[tarfile.TarInfo] = vars(tar)["members"]
    members.clear()


def _make_private_folder(folder: Path) -> None:
    if not folder.exists():
        _make_private_folder(folder.parent)
        folder.mkdir(mode=0o700)


def _checked_name(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise LocalError(
            f"{name!r} in the archive points outside the archive, so Drover did not create the archive: "
            "use another backup."
        )
    return name
