"""Fetch one page of documentation under the egress policy. Its links are never followed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from django.conf import settings

from apps.agent.sources.parsing import MAX_BYTES, UnreadableDocument
from apps.egress.exceptions import EgressError
from apps.egress.http import BodyTooSlowError, PolicySession, time_limit

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0  # between two bytes
TOTAL_SECONDS = 30.0
MAX_REDIRECTS = 5
CHUNK_SIZE = 1 << 16
HEADERS = {"Accept": "application/json, application/yaml, text/*", "Accept-Encoding": "identity"}
TOO_SLOW = "It was not complete after {seconds:g} seconds."
# Clients read a host with other characters in different ways, so another host than the shown one could be reached.
HOST = re.compile(r"[\w.-]+|[0-9a-f:.]+")
# Parts of the media types of documents that can be read. Servers send YAML with many types.
READABLE_TYPES = ("text/", "json", "yaml", "xml", "application/octet-stream")


@dataclass(frozen=True, slots=True)
class FetchedDocument:
    """The text of a page. `truncated` says that the page is longer."""

    url: str
    is_html: bool
    text: str
    truncated: bool


def fetch(url: str) -> FetchedDocument:
    """Return the page at the URL. Raises UnreadableDocument, with a message for the user."""
    deadline = time.monotonic() + TOTAL_SECONDS
    timeout = (CONNECT_SECONDS, READ_SECONDS)
    try:
        with PolicySession(
            allow_private=settings.ALLOW_PRIVATE_NETWORKS, timeout=timeout
        ) as session:
            return _fetch(session, url, deadline)
    except EgressError as error:
        raise UnreadableDocument(f"Drover may not connect to it: {error.message}.") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        reason = type(error).__name__
        raise UnreadableDocument(f"It could not be fetched ({reason}): check the URL.") from None


def host_of(url: str) -> str:
    """Return the host of a URL of a page. Raises UnreadableDocument for another kind of URL."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if (
        not HOST.fullmatch(host)
        or parts.scheme not in ("http", "https")
        or parts.username is not None
    ):
        raise UnreadableDocument("Send a URL such as https://api.example.com/openapi.json.")
    return host


def _fetch(session: PolicySession, url: str, deadline: float) -> FetchedDocument:
    """Follow the redirects to other pages of the same server. Another host or port needs a new approval."""
    host_of(url)  # refuses other kinds of URLs
    for _ in range(MAX_REDIRECTS + 1):
        if time.monotonic() >= deadline:
            raise UnreadableDocument(TOO_SLOW.format(seconds=TOTAL_SECONDS))
        with session.get(url, headers=HEADERS, stream=True, allow_redirects=False) as response:
            if not response.is_redirect:
                return _read(response, url, deadline)
            target = urljoin(url, response.headers["Location"])
        if not _is_same_server(url, target):
            shown = f"{urlsplit(target).scheme}://{urlsplit(target).netloc}"
            raise UnreadableDocument(f"It redirects to another server: {shown}. Fetch that URL.")
        url = target
    raise UnreadableDocument(f"It redirects more than {MAX_REDIRECTS} times.")


def _is_same_server(url: str, target: str) -> bool:
    """Whether the host and the port are the same, or the target is the same host with HTTPS instead of HTTP."""
    host, ports = host_of(target), (_port(url), _port(target))
    return host == host_of(url) and (ports[0] == ports[1] or ports == (80, 443))


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def _read(response: requests.Response, url: str, deadline: float) -> FetchedDocument:
    if response.status_code >= 400:
        raise UnreadableDocument(f"The server answered with the status {response.status_code}.")
    media_type = response.headers.get("Content-Type", "text/plain").partition(";")[0].lower()
    if not any(part in media_type for part in READABLE_TYPES):
        raise UnreadableDocument(f"It is not a text but {media_type[:60]!r}.")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise UnreadableDocument("The server compresses it, although Drover asked for plain text.")
    try:
        with time_limit(response, deadline - time.monotonic()):
            content = b"".join(_chunks(response))
    except BodyTooSlowError:
        raise UnreadableDocument(TOO_SLOW.format(seconds=TOTAL_SECONDS)) from None
    text = content[:MAX_BYTES].decode(_encoding(response), "replace").replace("\x00", "\ufffd")
    return FetchedDocument(url, "html" in media_type, text, len(content) > MAX_BYTES)


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """Yield what arrives, until there is one byte too many."""
    size = 0
    while size <= MAX_BYTES:
        chunk = response.raw.read1(CHUNK_SIZE, decode_content=False)
        if not chunk:
            return
        size += len(chunk)
        yield chunk


def _encoding(response: requests.Response) -> str:
    try:
        "".encode(response.encoding or "utf-8")
    except LookupError:
        return "utf-8"
    is_default = "charset" not in response.headers.get("Content-Type", "").lower()
    return "utf-8" if is_default else response.encoding or "utf-8"
