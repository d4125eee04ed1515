"""Files whose bytes are computed while they are read: decompressed, or converted to UTF-8."""

from __future__ import annotations

import bz2
import codecs
import io
import re
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

import pyarrow as pa

from apps.engine.sources.http.responses import PermanentSourceError

CHUNK_BYTES = 1 << 20
ALWAYS_READ_BYTES = 256 << 20  # of unpacked data, whatever the size of the packed data
MAX_RATIO = 1_000
BYTE_ORDER_MARKS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
}
TEXT_CONTROLS = b"\t\n\f\r\x1a"


class ForwardFile(io.RawIOBase):
    """A file that is read from its beginning in chunks. Seeking backwards starts again at the beginning."""

    def __init__(self, chunks: Callable[[], Iterator[bytes]]) -> None:
        self._make_chunks = chunks
        self._restart()

    def _restart(self) -> None:
        self._chunks = self._make_chunks()
        self._buffer = b""
        self._offset = 0  # of the next byte in the buffer
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("the size of the file is not known")
        if offset < self._position:
            self._restart()
        while self._position < offset and self.read(min(offset - self._position, CHUNK_BYTES)):
            pass
        return self._position

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(CHUNK_BYTES), b""))
        while self._offset >= len(self._buffer):
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._buffer, self._offset = chunk, 0
        data = self._buffer[self._offset : self._offset + size]
        self._offset += len(data)
        self._position += len(data)
        return data


def decompressed(file: BinaryIO, compression: str) -> BinaryIO:
    """Return the decompressed content. Raises PermanentSourceError while it is read if it is damaged."""
    make_chunks = {"gzip": _gzip_chunks, "bzip2": _bzip2_chunks, "zstd": _zstd_chunks}[compression]

    def chunks() -> Iterator[bytes]:
        file.seek(0)
        try:
            yield from _limited(file, make_chunks(file))
        except (zlib.error, EOFError, OSError, pa.ArrowException) as error:
            raise PermanentSourceError(
                f"the file is not a complete {compression} file", evidence=(str(error)[:300],)
            ) from error

    return cast("BinaryIO", ForwardFile(chunks))


def _limited(file: BinaryIO, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Pass the chunks on. Raises PermanentSourceError if they are too large for the packed file."""
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if unpacks_too_much(size, file.tell()):
            raise PermanentSourceError(
                f"the file unpacks to more than {MAX_RATIO:,} times its size, which is not read"
            )
        yield chunk


def unpacks_too_much(size: int, packed_size: int) -> bool:
    """Whether so much unpacked data, in bytes, comes from so little packed data that it is not read."""
    return size > ALWAYS_READ_BYTES and size > MAX_RATIO * max(packed_size, 1)


def _gzip_chunks(file: BinaryIO) -> Iterator[bytes]:
    decompressor, packed = zlib.decompressobj(31), b""
    while True:
        packed = packed or file.read(CHUNK_BYTES)
        if decompressor.eof:
            packed = packed.lstrip(b"\0") or file.read(CHUNK_BYTES).lstrip(b"\0")
            if not packed:
                return
            decompressor = zlib.decompressobj(31)
        if not packed:
            raise EOFError("it ends before the end-of-stream marker")
        chunk = decompressor.decompress(packed, CHUNK_BYTES)
        packed = decompressor.unused_data if decompressor.eof else decompressor.unconsumed_tail
        if chunk:
            yield chunk


def _bzip2_chunks(file: BinaryIO) -> Iterator[bytes]:
    decompressor, packed = bz2.BZ2Decompressor(), b""
    while True:
        if decompressor.eof:
            packed = decompressor.unused_data or file.read(CHUNK_BYTES)
            if not packed:
                return
            decompressor = bz2.BZ2Decompressor()
        elif decompressor.needs_input:
            packed = file.read(CHUNK_BYTES)
            if not packed:
                raise EOFError("it ends before the end-of-stream marker")
        else:
            packed = b""
        chunk = decompressor.decompress(packed, CHUNK_BYTES)
        if chunk:
            yield chunk


class _Borrowed:
    """A file that Arrow must not close, because it is read again."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self.read = file.read

    def close(self) -> None:
        """Keep the file open."""


def _zstd_chunks(file: BinaryIO) -> Iterator[bytes]:
    with pa.CompressedInputStream(pa.PythonFile(_Borrowed(file), mode="r"), "zstd") as stream:
        yield from iter(lambda: stream.read(CHUNK_BYTES), b"")


# Text


def detect_encoding(sample: bytes) -> str:
    """Return the encoding of a text that begins with the sample. Raises PermanentSourceError if it is no text."""
    for encoding, mark in BYTE_ORDER_MARKS.items():
        if sample.startswith(mark):
            return encoding
    if utf_16 := _utf_16_without_mark(sample):
        return utf_16
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(sample)
    except UnicodeDecodeError:
        controls = sample.translate(None, bytes(range(32, 256)) + TEXT_CONTROLS)
        if controls or b"\x7f" in sample:
            raise PermanentSourceError(
                "the file is not text in a known encoding; set `format` or `encoding`"
            ) from None
        return "utf-8" if _is_mostly_utf_8(sample) else "windows-1252"
    return "utf-8"


def _is_mostly_utf_8(sample: bytes) -> bool:
    """Whether the sample is UTF-8 with a few invalid bytes: text of another encoding is hardly ever valid by chance."""
    text = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode(sample)
    invalid_bytes = len(re.findall("[\udc80-\udcff]", text))
    return len(re.findall(r"[^\x00-\x7f]", text)) >= 2 * invalid_bytes


def _utf_16_without_mark(sample: bytes) -> str | None:
    """Recognise UTF-16 by its NUL bytes: at least a half of the characters of most texts are ASCII."""
    pairs = len(sample) // 2
    if pairs < 2:
        return None
    even, odd = sample[0 : 2 * pairs : 2].count(0), sample[1 : 2 * pairs : 2].count(0)
    if odd * 2 >= pairs and even * 8 <= odd:
        return "utf-16-le"
    return "utf-16-be" if even * 2 >= pairs and odd * 8 <= even else None


def as_utf8(file: BinaryIO, encoding: str) -> tuple[BinaryIO, int]:
    """Return the text as UTF-8, and the position of its first byte after a byte order mark.

    Bytes that are invalid in the encoding become bytes that are invalid in UTF-8, so that the reader rejects them.
    """
    file.seek(0)
    beginning = file.read(4)
    if encoding in ("utf-16", "utf-32"):
        encoding = _with_byte_order(encoding, beginning)
    mark = BYTE_ORDER_MARKS.get(encoding, b"")
    skipped = len(mark) if mark and beginning.startswith(mark) else 0
    if encoding == "utf-8":
        return file, skipped

    def chunks() -> Iterator[bytes]:
        file.seek(skipped)
        errors = "drover.c1" if encoding == "windows-1252" else "drover.mark"
        decoder = codecs.getincrementaldecoder(encoding)(errors)
        for data in iter(lambda: file.read(CHUNK_BYTES), b""):
            if text := decoder.decode(data):
                yield text.encode("utf-8", "surrogateescape")
        if text := decoder.decode(b"", final=True):
            yield text.encode("utf-8", "surrogateescape")

    return cast("BinaryIO", ForwardFile(chunks)), 0


def _with_byte_order(encoding: str, beginning: bytes) -> str:
    for order in ("le", "be"):
        if beginning.startswith(BYTE_ORDER_MARKS[f"{encoding}-{order}"]):
            return f"{encoding}-{order}"
    return f"{encoding}-le"


def _mark_invalid(error: UnicodeError) -> tuple[str, int]:
    """Replace what cannot be decoded by a surrogate, which `surrogateescape` encodes as a byte that is not UTF-8."""
    assert isinstance(error, UnicodeDecodeError)  # noqa: S101 - the handler is only used for decoding
    return "\udcff", error.end


def _c1_control(error: UnicodeError) -> tuple[str, int]:
    """Decode the five bytes that Windows-1252 does not define as control characters, as browsers do."""
    assert isinstance(error, UnicodeDecodeError)  # noqa: S101 - the handler is only used for decoding
    return chr(error.object[error.start]), error.start + 1


codecs.register_error("drover.mark", _mark_invalid)
codecs.register_error("drover.c1", _c1_control)
