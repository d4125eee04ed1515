"""The base class of sources. A source declares its streams and settings, and defines a method that returns a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from drover._failures import ConfigurationError

if TYPE_CHECKING:
    import requests

Json = dict[str, Any]
TIMEOUT = (10.0, 60.0)  # seconds to connect, and seconds between two bytes


@dataclass(frozen=True)
class Page:
    """Records, the token of the next page (None after the last), and the state of an incremental sync."""

    rows: Iterable[Any]
    next_pagination: Json | None = None
    next_state: Json | None = None


@dataclass(frozen=True)
class Stream:
    """One stream of records.

    `path` is below the base URL of the source. `records` is the place of the records in the response, as names
    joined by dots. It is empty if the response is the list of records. `paging` replaces the paging of the source.
    With the method POST, `json` is the body of each request; a paging with `body_path` writes into it.
    A response with one of `end_statuses`, such as 404, ends the stream after its first page. One with a status of
    `ignored_statuses` has no records.

    If `parent` names another stream, the path is requested once for each record of that stream, with the record's
    fields in braces: `/posts/{id}/comments`. With `cursor_field` and `since` the stream is incremental: each
    request has the query parameter that `since` names, with the greatest value of `cursor_field` so far.
    """

    name: str
    path: str = ""
    records: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    paging: Any = None
    parent: str = ""
    primary_key: Sequence[str] = ()
    cursor_field: str | None = None
    since: str = ""
    method: str = "GET"
    json: Mapping[str, Any] | None = None
    end_statuses: Sequence[int] = ()
    ignored_statuses: Sequence[int] = ()
    sync_modes: tuple[str, ...] = ("full_refresh",)

    def __post_init__(self) -> None:
        if isinstance(self.primary_key, str):
            object.__setattr__(self, "primary_key", (self.primary_key,))
        if self.since and self.cursor_field:
            object.__setattr__(self, "sync_modes", ("full_refresh", "incremental"))


@dataclass(frozen=True)
class StreamSettings:
    """The stream and sync mode that the pipeline selected."""

    stream: str
    sync_mode: str = "full_refresh"
    cursor_field: str | None = None


@dataclass(frozen=True)
class SettingDeclaration:
    """The value of the class attribute that Field or Secret declares."""

    description: str
    default: Any
    secret: bool


def Field(description: str = "", default: Any = ...) -> Any:  # noqa: N802 - named as in pydantic
    """Declare a setting that users fill in. `default` makes it optional."""
    return SettingDeclaration(description, default, secret=False)


def Secret(description: str = "", default: Any = ...) -> Any:  # noqa: N802 - named like Field
    """Declare a setting that is stored encrypted and never shown again."""
    return SettingDeclaration(description, default, secret=True)


class SettingValues:
    """The settings of one connector as attributes: `self.config.api_key`."""

    def __init__(self, config_class: type[Any] | None, values: Mapping[str, Any]) -> None:
        for name, default in _setting_defaults(config_class).items():
            setattr(self, name, default)
        for name, value in values.items():
            setattr(self, name, value)

    def __getattr__(self, name: str) -> Any:
        raise ConfigurationError(f"There is no setting {name!r}; declare it in Config.")

    def get(self, name: str) -> Any:
        """Return the value of a setting, None if it was left empty."""
        return self.__dict__.get(name)


class Source:
    """The base class of sources. It has the methods of bizon's `AbstractSource`, but needs less code.

    A subclass defines `streams` (a list of Stream, or of names), an inner class `Config` whose annotated
    attributes are the settings, and `get(pagination)`. It runs in a sandbox: it can connect only to the hosts
    of its base URLs and of `hosts`. It can write files to the current folder, which is deleted after the run.
    """

    streams: ClassVar[Any] = []
    hosts: ClassVar[Sequence[str]] = ()
    Config: ClassVar[type[Any] | None] = None

    def __init__(self, config: Any, bound: StreamSettings) -> None:
        self.config = config
        self.bound = bound  # the selected stream and sync mode

    @classmethod
    def declared_streams(cls) -> list[Stream]:
        streams = cls.streams() if callable(cls.streams) else cls.streams
        return [stream if isinstance(stream, Stream) else Stream(str(stream)) for stream in streams]

    @property
    def stream(self) -> Stream:
        """Return the stream that this run reads. Raises ConfigurationError if there is no such stream."""
        for stream in self.declared_streams():
            if stream.name == self.bound.stream:
                return stream
        raise ConfigurationError(f"There is no stream {self.bound.stream!r}.")

    @cached_property
    def session(self) -> requests.Session:
        """A `requests.Session` with a timeout and three retries of temporary errors."""
        from drover._session import make_session

        return make_session(TIMEOUT)

    def get(self, pagination: Json | None = None) -> Page:
        """Return the page at `pagination`, or the first page if it is None.

        A call with the same `pagination` must return the same page.
        """
        raise NotImplementedError("A source must define get(pagination).")

    def get_records_after(self, state: Json, pagination: Json | None = None) -> Page:
        """Like `get`, but return only records newer than the state.

        `state` is `{"last_run", "state", "cursor_field", "run_started_at"}`.
        """
        raise ConfigurationError("This source does not support incremental syncs.")

    def check_connection(self) -> tuple[bool, str | None]:
        """Read the first page of the selected stream, or of the first stream if none is selected."""
        if not self.bound.stream:
            streams = self.declared_streams()
            if not streams:
                raise ConfigurationError("The source has no streams.")
            self.bound = StreamSettings(streams[0].name)
        rows = sum(1 for _ in self.get(None).rows)
        return True, f"{self.bound.stream} was read: {rows:,} records in its first page."

    def get_total_records_count(self) -> int | None:
        """Return the number of records, or None if it is unknown."""
        return None


def _setting_defaults(config_class: type[Any] | None) -> Json:
    defaults: Json = {}
    for base_class in reversed(config_class.__mro__[:-1] if config_class else ()):
        for name in getattr(base_class, "__annotations__", {}):
            value = vars(base_class).get(name, ...)
            default = value.default if isinstance(value, SettingDeclaration) else value
            defaults[name] = None if default is ... else default
    return defaults
