"""The file of a backup: a tar of `drover.json`, the dumps, the stored files, and the checksums of all of them.

The checksums are last, so an archive without them comes from an interrupted backup.
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

FORMAT = 1
HEADER, CHECKSUMS = "drover.json", "checksums.txt"
DATABASE, DEMO, LISTING = "database.dump", "demo-warehouse.dump", "bucket.jsonl"
STORAGE = "storage/"
CHUNK = 1 << 20  # bytes

Seen = Callable[[int], None]  # called with the number of bytes that were processed


@dataclass(frozen=True)
class Header:
    """The facts that a restore needs before it changes anything."""

    id: str
    at: str  # ISO 8601, UTC
    server: int  # PostgreSQL's version number, such as 180006
    pg_dump: int  # major version of pg_dump, which determines the dump's format
    migrations: list[list[str]]  # [app, name] of applied migrations
    storage: dict[str, str]  # kind, and the bucket if there is one
    keys: dict[str, list[str]]  # {name: fingerprints}
    bytes: int  # total of the stored files
    format: int = FORMAT


class Writer:
    """Adds members one after another and the checksums at the end."""

    def __init__(self, file: IO[bytes], seen: Seen) -> None:
        self._tar = tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed by `close`
        self._lines: list[str] = []
        self._seen = seen

    def add(self, name: str, path: Path) -> None:
        """Add a file, which must not change meanwhile."""
        with path.open("rb") as content:
            self._add(name, content, path.stat().st_size)

    def add_text(self, name: str, text: str) -> None:
        content = text.encode()
        self._add(name, io.BytesIO(content), len(content))

    def close(self) -> None:
        """Add the checksums; without this call the archive is refused as incomplete."""
        self.add_text(CHECKSUMS, "".join(self._lines))
        self._tar.close()

    def _add(self, name: str, content: IO[bytes], size: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o600
        hashing = _Hashing(content, self._seen)
        self._tar.addfile(member, hashing)
        _forget(self._tar)
        self._lines.append(f"{hashing.digest} {size} {name}\n")


class _Hashing:
    """A file that is hashed while it is read."""

    def __init__(self, content: IO[bytes], seen: Seen) -> None:
        self._content, self._seen, self._hash = content, seen, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        chunk = self._content.read(size)
        self._hash.update(chunk)
        self._seen(len(chunk))
        return chunk

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


def read_header(path: Path) -> Header:
    """Return the description of the backup. Raises LocalError if this version of Drover cannot read it."""
    with _members(path) as members:
        name, content = next(members, ("", io.BytesIO()))
        if name != HEADER:
            raise LocalError(f"{path} is not a backup of Drover.")
        found: dict[str, Any] = json.loads(content.read())
    if found.get("format") != FORMAT:
        raise LocalError(
            f"{path} has format {found.get('format')} and this Drover reads {FORMAT}: restore it "
            "with the version of Drover that created it, or a later one."
        )
    return Header(**found)


def write_header(writer: Writer, header: Header) -> None:
    writer.add_text(HEADER, json.dumps(asdict(header), indent=1) + "\n")


def verify(path: Path, seen: Seen) -> None:
    """Compare every member with its checksum. Raises LocalError for a damaged or incomplete file."""
    found: list[str] = []
    with _members(path) as members:
        for name, content in members:
            if name == CHECKSUMS:
                if content.read().decode() == "".join(found):
                    return
                raise LocalError(f"{path} is damaged: its checksums differ. Use another backup.")
            digest, size = hashlib.sha256(), 0
            while chunk := content.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                seen(len(chunk))
            found.append(f"{digest.hexdigest()} {size} {name}\n")
    raise LocalError(f"{path} is incomplete: the backup was interrupted. Use another backup.")


def extract(path: Path, folder: Path, seen: Seen) -> None:
    """Write every member below `folder`, readable by its owner only."""
    with _members(path) as members:
        for name, content in members:
            target = folder / _safe(name)
            _make_private(target.parent)
            with target.open("xb") as file:
                target.chmod(0o600)
                while chunk := content.read(CHUNK):
                    file.write(chunk)
                    seen(len(chunk))


@contextmanager
def _members(path: Path) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
    """Yield name and content of each member, in order. Raises LocalError if one cannot be read."""
    try:
        with tarfile.open(path, "r|") as tar:
            yield _each(tar)
    except (tarfile.TarError, EOFError, ValueError, TypeError) as error:
        raise LocalError(f"{path} is damaged or not a backup of Drover ({error}).") from error


def _each(tar: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    while (member := tar.next()) is not None:
        content = tar.extractfile(member) if member.isreg() else None
        if content is None:
            raise LocalError(
                f"{member.name!r} in the archive is not a file: Drover did not make it."
            )
        yield member.name, content
        _forget(tar)


def _forget(tar: tarfile.TarFile) -> None:
    """tarfile keeps every member it has read, which takes a gigabyte for a million files."""
    kept: list[tarfile.TarInfo] = vars(tar)["members"]
    kept.clear()


def _make_private(folder: Path) -> None:
    if not folder.exists():
        _make_private(folder.parent)
        folder.mkdir(mode=0o700)


def _safe(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise LocalError(f"{name!r} in the archive leaves its folder: Drover did not make it.")
    return name
