"""Remove secrets from all output of a run: messages, evidence, log lines, standard error."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

import orjson

from apps.engine.contract import RunSpec
from apps.engine.reporting.terminal import printable_text
from apps.json import JsonObject

MASK = "•••"
MIN_SECRET_LENGTH = 4  # characters; to mask shorter secrets would also mask common words
MIN_BASE64_LENGTH = 6  # characters; shorter ones are often found in other bytes
# In names of tables and columns, which users must be able to choose: a shorter password may be such a name.
MIN_SECRET_LENGTH_IN_NAMES = 12
_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)?$|secret|token|(api|access|private|service_account|signing)_?key|^key$"
    r"|credential|authorization|cookie|session",
    re.IGNORECASE,
)
# All headers of a request are secret, but the values of these are no secrets, and common in messages.
_PLAIN_HEADERS = frozenset(
    ["accept", "accept-encoding", "accept-language", "cache-control", "content-type", "user-agent"]
)
# Names of query parameters that carry secrets, besides those that are secret for every setting.
_SECRET_PARAM = re.compile(r"^(auth|sig)$|app(lication)?_?key$|signature$", re.IGNORECASE)
# A credential after its scheme (RFC 9110, section 11.4). Servers often say the credential alone.
_SCHEME = re.compile(r"(?:bearer|basic|token|apikey|api-key|key|oauth)\s+(?=\S)", re.IGNORECASE)
_KEYWORD_PASSWORD = re.compile(r"password\s*=\s*('(?:[^'\\]|\\.)*'|\S+)", re.IGNORECASE)
_USERINFO = re.compile(r"(?<=://)[^\s/@:]*:[^\s/@]+(?=@)")


class Redactor:
    """Masks every known secret, and the `user:password@` of every URL.

    It also escapes control characters, because all untrusted text in logs and responses passes through it.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self.secrets = frozenset(secrets)
        spellings = {spelling for secret in self.secrets for spelling in _spellings(secret)}
        longest_first = sorted(
            (s for s in spellings if len(s) >= MIN_SECRET_LENGTH), key=len, reverse=True
        )
        self._pattern = _pattern_of(longest_first)
        self._pattern_in_names = _pattern_of(
            [secret for secret in longest_first if len(secret) >= MIN_SECRET_LENGTH_IN_NAMES]
        )

    def mask_text(self, value: str) -> str:
        masked = self._pattern.sub(MASK, value) if self._pattern else value
        return printable_text(_USERINFO.sub(MASK, masked))

    def mask_value(self, value: Any) -> Any:
        """Mask all strings in a value of lists and mappings."""
        return _with_texts(value, self.mask_text)

    def mask_records(self, records: Any) -> Any:
        """Mask the known secrets in records. Other texts of records stay as they are."""
        pattern = self._pattern
        return _with_texts(records, partial(pattern.sub, MASK)) if pattern else records

    def mask_names(self, streams: Any) -> Any:
        """Mask the long secrets in the names of streams and columns, which a server may have sent back."""
        pattern = self._pattern_in_names
        return _with_texts(streams, partial(pattern.sub, MASK)) if pattern else streams


def _pattern_of(secrets: list[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(map(re.escape, secrets))) if secrets else None


def _with_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Return the value of lists and mappings with each text changed, also the keys of mappings."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {change(str(key)): _with_texts(item, change) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_texts(item, change) for item in value]
    return value


def redactor_of(spec: RunSpec, known: Redactor | None = None) -> Redactor:
    """Return a redactor for every secret in the specification of the run: `known`, if it is for the same secrets."""
    code = spec.source.code
    secrets = frozenset(
        secret
        for config in (
            spec.source.config,
            declared_secrets(code.secret_names if code else (), spec.source.config),
            spec.destination.config,
            spec.data.options,
            spec.files.options,
            {"state_dsn": spec.state_dsn, "hash_secret": spec.fields.hash_secret},
        )
        for secret in secrets_of(config)
    )
    return known if known is not None and known.secrets == secrets else Redactor(secrets)


def redactor_of_payload(payload: JsonObject) -> Redactor:
    """Return a redactor for every secret in the payload of a call."""
    values: dict[str, Any] = dict(payload)
    code, names = values.get("code"), ()
    if isinstance(code, Mapping):  # the names of its secrets are no secrets
        names = code.get("secret_names") or ()
        code = {name: value for name, value in code.items() if name != "secret_names"}
    declared = declared_secrets(names, values.get("config") or {})
    return Redactor([*secrets_of({**payload, "code": code}), *secrets_of(declared)])


def secrets_of(config: Any) -> Iterator[str]:
    """Yield the values of settings whose names suggest a secret, at any depth, and the credentials in URLs."""
    if isinstance(config, Mapping):
        yield from _basic_credentials(config)
        for name, value in config.items():
            yield from _texts_in(value) if is_secret_name(str(name)) else secrets_of(value)
        yield from _secrets_of_request(config)
    elif isinstance(config, (list, tuple)):
        for item in config:
            yield from secrets_of(item)
    elif isinstance(config, str):
        yield from _passwords_in(config)


def _secrets_of_request(config: Mapping[Any, Any]) -> Iterator[str]:
    """Yield the values of the headers, and of the query parameters with names such as `api-key`."""
    headers, params = config.get("headers"), config.get("params")
    if isinstance(headers, Mapping):
        for name, value in headers.items():
            if str(name).lower() not in _PLAIN_HEADERS:
                yield from _texts_in(value)
                yield from _credentials_in(str(name), value)
    if isinstance(params, Mapping):
        for name, value in params.items():
            plain_name = str(name).replace("-", "_")
            if is_secret_name(plain_name) or _SECRET_PARAM.search(plain_name):
                yield from _texts_in(str(value) if type(value) in (int, float) else value)


def _credentials_in(header: str, value: Any) -> Iterator[str]:
    """Yield the credential without its scheme, and the value of each cookie."""
    if not isinstance(value, str):
        return
    if scheme := _SCHEME.match(value):
        yield value[scheme.end() :].strip()
    if header.lower() == "cookie":
        yield from (pair.partition("=")[2].strip() for pair in value.split(";"))


def declared_secrets(names: Iterable[str], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the settings that the code of the source declares as secret.

    They are in a list under the name `secret`, which `secrets_of` recognises.
    """
    return {"secret": [config[name] for name in names if name in config]}


def is_secret_name(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def remove_secrets(config: Any) -> Any:
    """Return the settings without secrets, for a digest that does not depend on passwords."""
    if isinstance(config, Mapping):
        return {
            name: remove_secrets(value)
            for name, value in config.items()
            if not is_secret_name(str(name))
        }
    if isinstance(config, (list, tuple)):
        return [remove_secrets(item) for item in config]
    return _USERINFO.sub("", config) if isinstance(config, str) else config


def _basic_credentials(config: Mapping[Any, Any]) -> Iterator[str]:
    """Yield the user name and password as HTTP's Basic scheme encodes them (RFC 7617), because servers echo headers."""
    password = config.get("password")
    for name in ("username", "user"):
        if isinstance(config.get(name), str) and isinstance(password, str) and password:
            pair = f"{config[name]}:{password}".encode("utf-8", "replace")
            yield base64.b64encode(pair).decode()


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _texts_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts_in(item)
    elif isinstance(value, str):
        yield from _secret_parts(value)


def _secret_parts(secret: str) -> Iterator[str]:
    """Yield the secret, the secret values if it is the JSON of a service account, and the lines if it is a key."""
    if secret.lstrip().startswith("{"):
        yield from _secrets_in_json(secret)
    yield secret
    if "\n" in secret:
        yield from (line for line in secret.splitlines() if len(line) >= 16)


def _secrets_in_json(text: str) -> Iterator[str]:
    try:
        parsed = json.loads(text)
    except ValueError:
        return
    if isinstance(parsed, Mapping):
        yield from secrets_of(parsed)


def _passwords_in(text: str) -> Iterator[str]:
    """Yield the password of a URL, the secrets in its query, and the password of a keyword connection string."""
    for keyword_password in _KEYWORD_PASSWORD.findall(text):
        yield keyword_password.strip("'")
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
    """Yield the secret unchanged, in the encodings of URLs, JSON and Python, and as texts of bytes that contain it."""
    yield secret
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield orjson.dumps(secret.encode("utf-8", "replace").decode())[1:-1].decode()
    yield repr(secret)[1:-1]
    yield from _spellings_in_bytes(secret.encode("utf-8", "replace"))


def _spellings_in_bytes(secret: bytes) -> Iterator[str]:
    """Yield what stands for the secret in the hexadecimal and Base64 texts of bytes.

    In Base64 it depends on how many bytes are before the secret. The characters at both ends also depend on the bytes
    beside it, so they are left out.
    """
    yield secret.hex()
    yield secret.hex().upper()
    for before, first in ((0, 0), (1, 2), (2, 3)):
        text = base64.b64encode(bytes(before) + secret).decode()
        inner = text[first : (before + len(secret)) * 8 // 6]
        if len(inner) >= MIN_BASE64_LENGTH:
            yield inner
