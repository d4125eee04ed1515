"""How the records of a CSV file are written."""

from __future__ import annotations

from dataclasses import dataclass

BACKSLASH = b"\\"
DELIMITER_NAMES = {b",": "comma", b";": "semicolon", b"\t": "tab", b"|": "pipe", b" ": "space"}
LINE_END_NAMES = {b"\n": "LF", b"\r\n": "CRLF", b"\r": "CR"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """The dialect of one CSV file whose text is UTF-8. `delimiter`, `quote` and `comment` are single bytes."""

    delimiter: bytes = b","
    quote: bytes | None = b'"'
    backslash_escapes: bool = False  # besides doubled quotes
    header: bool = True
    is_header_certain: bool = False  # whether the values show it, or a setting says it
    skip_lines: int = 0  # before the header or the first record
    comment: bytes | None = None  # the beginning of lines that are ignored
    decimal_comma: bool = False
    line_end: bytes = b"\n"  # the line end of most lines; CR, LF and CRLF always end a line

    @property
    def cut_after(self) -> bytes:
        """The byte after which the file may be cut into pieces."""
        return self.line_end[-1:]

    @property
    def blanks(self) -> bytes:
        """The characters that a blank line may have. Old programs of DOS write Ctrl+Z at the end of a file."""
        return b" \x1a" if self.delimiter == b"\t" else b" \t\x1a"

    def describe(self) -> str:
        """Return the dialect in words, for the check of a connector and the log of a run."""
        delimiter = DELIMITER_NAMES.get(self.delimiter, repr(self.delimiter.decode()))
        quote = "no quotes" if self.quote is None else f"quote {self.quote.decode()}"
        parts = [
            f"delimiter {delimiter}",
            quote,
            *(["backslash escapes"] if self.backslash_escapes else []),
            f"header in line {self.skip_lines + 1}" if self.header else "no header",
            *([f"lines skipped: {self.skip_lines}"] if self.skip_lines else []),
            *([f"comments begin with {self.comment.decode()}"] if self.comment else []),
            *(["decimal comma"] if self.decimal_comma else []),
            f"line ends {LINE_END_NAMES.get(self.line_end, 'LF')}",
        ]
        return ", ".join(parts)
