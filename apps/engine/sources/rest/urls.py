"""URLs of the REST source: those of streams, and those that a response gives for the next page."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from apps.engine.sources.http.responses import PermanentSourceError

USUAL_PORTS = {"http": 80, "https": 443}


def join_url(base_url: str, path: str) -> str:
    """Return the URL of a path below the base URL; an empty path is the base URL itself."""
    return f"{base_url.rstrip('/')}/{path.lstrip('/')}" if path else base_url


def allowed_url(link: str, url: str, other_hosts: Collection[str] = ()) -> str:
    """Return the link of a page at `url` as a whole URL.

    A host of `other_hosts` without a port is allowed at the usual port, and at that of `url`.

    Raises PermanentSourceError if it leads to another host that is not allowed, which would receive our credentials.
    """
    origin = urlsplit(url)
    usual_port = USUAL_PORTS[origin.scheme]
    try:
        target = urlsplit(urljoin(url, link))
        target_host = (target.hostname, target.port or origin.port or usual_port)
    except ValueError as error:
        raise PermanentSourceError(
            "the link to the next page is not a URL", evidence=(link[:300],)
        ) from error
    if target_host == (origin.hostname, origin.port or usual_port):
        # Servers behind a proxy often write http:// into the links of an https:// API.
        return urlunsplit(target._replace(scheme=origin.scheme, netloc=origin.netloc, fragment=""))
    names = {target.netloc.lower()}
    if target_host[1] in (USUAL_PORTS.get(target.scheme), origin.port):
        names.add(str(target.hostname))
    is_allowed = target.scheme == origin.scheme and names & {host.lower() for host in other_hosts}
    # The HTTP client ends the host at a backslash, so it would see another host than `urlsplit`.
    if is_allowed and not {"@", "\\"} & set(target.netloc):
        return urlunsplit(target._replace(fragment=""))
    raise PermanentSourceError(
        "the link to the next page leads to another host; allow it in `link_hosts` if it may get the credentials",
        evidence=(str(target.hostname),),
    )


def remove_param(url: str, name: str, value: str | None = None) -> str:
    """Remove a query parameter, such as a key that must not be stored, from the URL: any, or the one with this value."""
    parts = urlsplit(url)
    params = parse_qsl(parts.query, True)
    others = [(key, text) for key, text in params if key != name or value not in (None, text)]
    if len(others) == len(params):
        return url
    return urlunsplit(parts._replace(query=urlencode(others)))


def without_params_of(url: str, params: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters that the URL does not have."""
    present = {name for name, _ in parse_qsl(urlsplit(url).query, True)}
    return {name: value for name, value in params.items() if name not in present}
