"""What is inside a file: compressed data, an archive with several files, or the data itself.

The content decides, not the name. Nothing is unpacked to a path of the archive.
"""

from __future__ import annotations

import io
import lzma
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO, cast

from apps.engine.sources.files.patterns import FORMATS_BY_EXTENSION, without_compression
from apps.engine.sources.files.streams import (
    CHUNK_BYTES,
    MAX_RATIO,
    ForwardFile,
    decompressed,
    unpacks_too_much,
)
from apps.engine.sources.http.responses import PermanentSourceError

MAX_LAYERS = 3  # of compression around the data or around an archive
MAX_ENTRIES = 10_000
MAX_SPOOLED_BYTES = 4 << 30  # of a file that is unpacked to a temporary file
MAGIC_BYTES = 16  # of the beginning, in which every binary format has bytes that no text has
EMPTY_ARCHIVE = b"PK\x05\x06"
MAGIC = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    EMPTY_ARCHIVE: "zip",
    b"PAR1": "parquet",
}
NOT_READ = {
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old Excel file (.xls); save it as .xlsx",
    b"\xfd7zXZ\x00": "an xz file; compress it with gzip or zstd",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive; use zip",
    b"Rar!": "a rar archive; use zip",
    b"ORC": "an ORC file; use Parquet",
    b"Obj\x01": "an Avro file; use Parquet or JSON Lines",
    b"%PDF-": "a PDF document",
}
WORKBOOK = "xl/workbook.xml"
# What zipfile raises for damaged data of its four compressions, and for names that are not in their encoding.
DAMAGES = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError),
    *(NotImplementedError, UnicodeDecodeError),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A data file: the path in its archive, or an empty path if it is not in an archive."""

    path: str


class Contents:
    """The data files in one file."""

    def __init__(self, file: BinaryIO, path: str) -> None:
        self._path = path
        self._open_files = ExitStack()
        self._open_files.callback(file.close)
        self._file, self.is_compressed = self._unpack(file)
        self._archive: zipfile.ZipFile | None = None
        if magic_of(self._file) == "zip":
            archive = self._open_archive(self._file)
            if WORKBOOK not in archive.namelist():
                self._archive = archive
        self.left_out: Sequence[str] = ()  # files of the archive that are not read
        self.entries: Sequence[Entry] = (
            [Entry("")] if self._archive is None else self._list_entries()
        )

    def open(self, entry: Entry) -> BinaryIO:
        """Return the data of an entry. It can be read several times. Raises EngineError."""
        if self._archive is None:
            return self._file
        archive, info = self._archive, self._archive.getinfo(entry.path)
        file = cast("BinaryIO", ForwardFile(lambda: self._chunks(archive, info)))
        return self._unpack(file)[0]

    def random_access(self, file: BinaryIO) -> BinaryIO:
        """Return a file in which any position can be read, as Parquet and Excel need it."""
        if not isinstance(file, ForwardFile):
            return file
        file.seek(0)
        return self._spooled(iter(lambda: file.read(CHUNK_BYTES), b""))

    def close(self) -> None:
        self._open_files.close()

    def _unpack(self, file: BinaryIO) -> tuple[BinaryIO, bool]:
        """Return the data without its layers of compression, and whether there were any."""
        for layer in range(MAX_LAYERS + 1):
            kind = magic_of(file)
            if kind not in ("gzip", "bzip2", "zstd"):
                return file, layer > 0
            file = decompressed(file, kind)
        raise PermanentSourceError(
            f"{self._path!r} is compressed more than {MAX_LAYERS} times, which is not read"
        )

    def _open_archive(self, file: BinaryIO) -> zipfile.ZipFile:
        if file.read(len(EMPTY_ARCHIVE)) == EMPTY_ARCHIVE:
            raise PermanentSourceError(f"the archive {self._path!r} has no files")
        try:
            return zipfile.ZipFile(self.random_access(file))
        except (*DAMAGES, ValueError) as error:  # ValueError is of a file that is too short.
            raise PermanentSourceError(
                f"{self._path!r} is not a complete zip archive", evidence=(str(error)[:300],)
            ) from error

    def _list_entries(self) -> list[Entry]:
        """Return the files of the archive that have data: those with a known name, or the only one."""
        assert self._archive is not None  # noqa: S101 - the caller has opened it
        infos = [info for info in self._archive.infolist() if not info.is_dir()]
        if len(infos) > MAX_ENTRIES:
            raise PermanentSourceError(f"{self._path!r} has more than {MAX_ENTRIES:,} files")
        for info in infos:
            self._require_safe(info)
        # The sizes of the packed files may be wrong, and the files may overlap.
        if unpacks_too_much(sum(info.file_size for info in infos), self._archive_bytes()):
            raise PermanentSourceError(
                f"{self._path!r} unpacks to more than {MAX_RATIO:,} times its size"
            )
        visible = [info for info in infos if not _is_hidden(info.filename)]
        if len({info.filename for info in visible}) < len(visible):
            raise PermanentSourceError(f"{self._path!r} has two files of one name")
        known = [info for info in visible if _is_known(info.filename)]
        entries = visible if len(visible) == 1 else known
        if not entries:
            raise PermanentSourceError(
                f"{self._path!r} has no CSV, JSON, Parquet or Excel files",
                evidence=tuple(info.filename[:100] for info in infos[:5]),
            )
        names = sorted(info.filename for info in entries)
        self.left_out = sorted({info.filename for info in visible}.difference(names))
        return [Entry(name) for name in names]

    def _archive_bytes(self) -> int:
        assert self._archive is not None  # noqa: S101 - the caller has opened it
        file = self._archive.fp
        assert file is not None  # noqa: S101 - it is open
        return file.seek(0, io.SEEK_END)

    def _chunks(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
        try:
            with archive.open(info) as data:
                yield from iter(lambda: data.read(CHUNK_BYTES), b"")
        except DAMAGES as error:
            raise PermanentSourceError(
                f"{info.filename[:200]!r} in {self._path!r} cannot be unpacked",
                evidence=(str(error)[:300],),
            ) from error

    def _require_safe(self, info: zipfile.ZipInfo) -> None:
        """Raise PermanentSourceError for an entry that is not read, so that the archive is refused."""
        name = info.filename
        problem = ""
        if name.startswith(("/", "\\")) or ".." in PurePosixPath(name.replace("\\", "/")).parts:
            problem = "a path that leads out of the archive"
        elif stat.S_ISLNK(info.external_attr >> 16):
            problem = "a link"
        elif info.flag_bits & 1:
            problem = "an encrypted file, which cannot be read"
        elif unpacks_too_much(info.file_size, info.compress_size):
            problem = f"a file that unpacks to more than {MAX_RATIO:,} times its size"
        if problem:
            raise PermanentSourceError(
                f"the archive {self._path!r} has {problem}", evidence=(name[:200],)
            )

    def _spooled(self, chunks: Iterator[bytes]) -> BinaryIO:
        """Copy the data to an unnamed temporary file."""
        file = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - `close` closes it
        self._open_files.callback(file.close)
        size = 0
        for chunk in chunks:
            size += len(chunk)
            if size > MAX_SPOOLED_BYTES:
                raise PermanentSourceError(
                    f"{self._path!r} unpacks to more than {MAX_SPOOLED_BYTES >> 30} GB"
                )
            file.write(chunk)
        file.flush()
        file.seek(0)
        return file


def magic_of(file: BinaryIO) -> str | None:
    """Return the kind of the content by its first bytes. Raises PermanentSourceError for kinds that are not read."""
    file.seek(0)
    beginning = file.read(MAGIC_BYTES)
    file.seek(0)
    if not any(byte < 9 or 13 < byte < 32 or byte > 126 for byte in beginning):
        return None  # a text, whatever its first letters
    for magic, description in NOT_READ.items():
        if beginning.startswith(magic):
            raise PermanentSourceError(f"the file is {description}")
    for magic, kind in MAGIC.items():
        if beginning.startswith(magic):
            return kind
    return None


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)


def _is_known(name: str) -> bool:
    return PurePosixPath(without_compression(name)).suffix.lower() in FORMATS_BY_EXTENSION
