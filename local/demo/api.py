"""A small HTTP API that serves the demo's weather data in pages.

    GET /v1/weather?since=2013-06-01T00:00:00Z&limit=1000&cursor=...      X-API-Key: ...
    {"data": [...], "next_cursor": "..." or null}

Observations are ordered by `time_hour`. `since` includes the observations of that hour. `python -m local.demo.api
--port 8010` serves the API on loopback. The key is in `DROVER_HOME/keys/demo_api_key`.
"""

import argparse
import base64
import binascii
import bisect
import hmac
import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from local.demo.nycflights import read_rows
from local.errors import LocalError
from local.home import Home
from local.keys import read_key
from local.terminal import complain, say

PATH = "/v1/weather"
DEFAULT_LIMIT, MAX_LIMIT = 1000, 5000
_TIME_PATTERN = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d)?(?:\.\d+)?(?:Z|\+00(?::?00)?)?)?"
)


class BadRequest(Exception):
    """The request is invalid. The message has the reason."""


class Weather:
    """All observations in order. Each is stored as JSON."""

    def __init__(self) -> None:
        ordered = sorted(
            read_rows("weather"), key=lambda row: (str(row["time_hour"]), row["origin"])
        )
        self.hours = [str(row["time_hour"]) for row in ordered]
        self.observations = [json.dumps(row, separators=(",", ":")).encode() for row in ordered]

    def page(self, *, start: int, limit: int) -> bytes:
        """Return a JSON document of at most `limit` observations from index `start` on."""
        end = start + limit
        next_cursor = make_cursor(end) if end < len(self.observations) else None
        data = b",".join(self.observations[start:end])
        return b'{"data":[%b],"next_cursor":%b}' % (data, json.dumps(next_cursor).encode())

    def find_first(self, since: str) -> int:
        """Return the index of the first observation at or after an RFC 3339 time in UTC."""
        return bisect.bisect_left(self.hours, _normalize_time(since))


def make_cursor(start: int) -> str:
    """Return an opaque cursor for an index."""
    return base64.urlsafe_b64encode(f"at:{start}".encode()).decode().rstrip("=")


def parse_cursor(cursor: str) -> int:
    """Return the index of a cursor. Raises BadRequest for an invalid one."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        text = ""
    if not re.fullmatch(r"at:\d{1,9}", text):
        raise BadRequest("cursor is not valid")
    return int(text.removeprefix("at:"))


def _normalize_time(since: str) -> str:
    """Return the time in the format of the data, `2013-01-01T06:00:00Z`."""
    parts = _TIME_PATTERN.fullmatch(since)
    if not parts:
        raise BadRequest("since is not a time in UTC like 2013-01-01T06:00:00Z")
    day, minute, second = parts.groups()
    return f"{day}T{minute or '00:00'}{second or ':00'}Z"


class Handler(BaseHTTPRequestHandler):
    """Responds with JSON, for errors too."""

    protocol_version = "HTTP/1.1"
    server: "DemoServer"

    def do_GET(self) -> None:
        """Send one page, or an error."""
        parts = urlsplit(self.path)
        key = self.headers.get("X-API-Key", "")
        if not hmac.compare_digest(key.encode(), self.server.key.encode()):
            return self._respond(401, _error_body("send the key of this API as X-API-Key"))
        if parts.path != PATH:
            return self._respond(404, _error_body(f"the only path is {PATH}"))
        try:
            body = self._page(dict(parse_qs(parts.query, keep_blank_values=True)))
        except BadRequest as error:
            return self._respond(400, _error_body(str(error)))
        return self._respond(200, body)

    def _page(self, query: dict[str, list[str]]) -> bytes:
        values = {name: texts[-1] for name, texts in query.items()}
        limit = values.get("limit", str(DEFAULT_LIMIT))
        if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit) <= MAX_LIMIT:
            raise BadRequest(f"limit must be a whole number from 1 to {MAX_LIMIT}")
        start = 0
        if since := values.get("since"):
            start = self.server.weather.find_first(since)
        if cursor := values.get("cursor"):
            start = parse_cursor(cursor)
        return self.server.weather.page(start=start, limit=int(limit))

    def _respond(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
        """Do nothing. The run that reads from the API has its own log."""


class DemoServer(ThreadingHTTPServer):
    """The API on one loopback port. Port 0 means any free port."""

    daemon_threads = True

    def __init__(self, port: int, key: str) -> None:
        self.weather = Weather()
        self.key = key
        super().__init__(("127.0.0.1", port), Handler)


def _error_body(message: str) -> bytes:
    return json.dumps({"error": message}).encode()


def main() -> int:
    """Serve the API until the process is stopped. Returns 1 if it cannot start."""
    parser = argparse.ArgumentParser(description="Serves the demo's weather on loopback.")
    parser.add_argument("--port", type=int, default=0)
    port = parser.parse_args().port
    try:
        server = DemoServer(port, read_key(Home.from_environment().keys, "demo_api_key"))
    except (LocalError, OSError) as failure:
        complain(f"The demo API did not start: {failure}")
        return 1
    say(f"serving http://127.0.0.1:{server.server_port}{PATH}")
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
