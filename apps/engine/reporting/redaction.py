"""Keep secrets out of everything a run says: messages, evidence, log lines, standard error."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

import orjson

from apps.engine.contract import RunSpec
from apps.engine.reporting.terminal import printable

MASK = "•••"
SHORTEST = 4  # characters; masking shorter secrets would mask half of the language
_NAMED_SECRET = re.compile(
    r"pass(word|wd|phrase)?$|secret|token|(api|access|private|service_account|signing)_?key|^key$"
    r"|credential|authorization|cookie|session",
    re.IGNORECASE,
)
_KEYWORD_PASSWORD = re.compile(r"password\s*=\s*('(?:[^'\\]|\\.)*'|\S+)", re.IGNORECASE)
_USERINFO = re.compile(r"(?<=://)[^\s/@:]*:[^\s/@]+(?=@)")


class Redactor:
    """Replaces every known secret, and any `user:password@` of a URL, by a mask.

    Everything others say goes through here on its way into logs and answers, so what a terminal would act on is
    written out here too.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        spellings = {spelling for secret in secrets for spelling in _spellings(secret)}
        found = sorted((s for s in spellings if len(s) >= SHORTEST), key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, found))) if found else None

    def text(self, value: str) -> str:
        masked = self._known.sub(MASK, value) if self._known else value
        return printable(_USERINFO.sub(MASK, masked))

    def value(self, value: Any) -> Any:
        """The same for the text inside lists and mappings."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        return value


def redactor_of(spec: RunSpec) -> Redactor:
    """Knows every secret this run was given."""
    return Redactor(
        secret
        for config in (
            spec.source.config,
            declared_secrets(asdict(spec.source)),
            spec.destination.config,
            spec.data.options,
            spec.files.options,
            {"state_dsn": spec.state_dsn},
        )
        for secret in secrets_of(config)
    )


def redactor_of_payload(payload: Mapping[str, Any]) -> Redactor:
    """Knows every secret a call was given."""
    return Redactor([*secrets_of(payload), *secrets_of(declared_secrets(payload))])


def secrets_of(config: Any) -> Iterator[str]:
    """Values of settings whose names speak of a secret, at any depth, and passwords inside URLs."""
    if isinstance(config, Mapping):
        yield from _basic_login(config)
        for name, value in config.items():
            yield from _strings(value) if is_secret_name(str(name)) else secrets_of(value)
    elif isinstance(config, (list, tuple)):
        for item in config:
            yield from secrets_of(item)
    elif isinstance(config, str):
        yield from _password_of(config)


def declared_secrets(source: Mapping[str, Any]) -> dict[str, Any]:
    """What the code of a source (as JSON) calls secret, under a name that everyone takes for one."""
    code, config = source.get("code") or {}, source.get("config") or {}
    return {"secret": [config[name] for name in code.get("secret_names", ()) if name in config]}


def is_secret_name(name: str) -> bool:
    return _NAMED_SECRET.search(name) is not None


def without_secrets(config: Any) -> Any:
    """The settings with every secret left out, for a digest that a changed password does not change."""
    if isinstance(config, Mapping):
        return {
            name: without_secrets(value)
            for name, value in config.items()
            if not is_secret_name(str(name))
        }
    if isinstance(config, (list, tuple)):
        return [without_secrets(item) for item in config]
    return _USERINFO.sub("", config) if isinstance(config, str) else config


def _basic_login(config: Mapping[Any, Any]) -> Iterator[str]:
    """A user name with its password as HTTP's Basic login writes them (RFC 7617): servers echo headers."""
    password = config.get("password")
    for name in ("username", "user"):
        if isinstance(config.get(name), str) and isinstance(password, str) and password:
            pair = f"{config[name]}:{password}".encode("utf-8", "replace")
            yield base64.b64encode(pair).decode()


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, str):
        yield from _parts(value)


def _parts(secret: str) -> Iterator[str]:
    """The secret, what a service account's JSON holds, and the lines of a key."""
    if secret.lstrip().startswith("{"):
        yield from _of_json(secret)
    yield secret
    if "\n" in secret:
        yield from (line for line in secret.splitlines() if len(line) >= 16)


def _of_json(text: str) -> Iterator[str]:
    try:
        parsed = json.loads(text)
    except ValueError:
        return
    if isinstance(parsed, Mapping):
        yield from secrets_of(parsed)


def _password_of(text: str) -> Iterator[str]:
    """The password of a URL, secrets in its query, the password of a keyword connection string."""
    for found in _KEYWORD_PASSWORD.findall(text):
        yield found.strip("'")
    if "://" not in text:
        return
    try:
        parts = urlsplit(text)
        password = parts.password
    except ValueError:
        return
    if password:
        yield password
        yield unquote(password)
    for pair in parts.query.split("&"):
        name, _, value = pair.partition("=")
        if value and is_secret_name(name):
            yield value
            yield unquote(value)


def _spellings(secret: str) -> Iterator[str]:
    """As it is, as JSON writes it, as a URL writes it."""
    yield secret
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield orjson.dumps(secret.encode("utf-8", "replace").decode())[1:-1].decode()
    yield repr(secret)[1:-1]
