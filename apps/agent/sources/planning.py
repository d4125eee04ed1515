"""Make a plan from the description of an API, without a model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from apps.agent.sources import needs, paging, records
from apps.agent.sources.descriptions import ApiDescription, Endpoint, Parameter, Schema
from apps.agent.sources.parsing import UnreadableDocument
from apps.agent.sources.plan import (
    MAX_STREAMS,
    PLACEHOLDER,
    Authentication,
    FixedValue,
    PlannedSetting,
    PlannedStream,
    SourcePlan,
)
from apps.agent.tools import argument_errors

MAX_NOTE = 60  # characters of a value in a note


@dataclass(frozen=True, slots=True)
class ProposedPlan:
    """A plan, and sentences for the user: which lists it leaves out, and what is not certain."""

    plan: SourcePlan
    left_out: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListEndpoint:
    """An endpoint whose response is a list of records."""

    name: str
    endpoint: Endpoint
    records: str
    record: Schema

    @property
    def path_names(self) -> list[str]:
        return PLACEHOLDER.findall(self.endpoint.path)


def propose(api: ApiDescription) -> ProposedPlan:
    """Return a plan with the list endpoints of the API. Raises UnreadableDocument if there are none."""
    found = _with_unique_names(_list_endpoints(api.endpoints))
    if not found:
        raise UnreadableDocument("It describes no GET request that returns a list of records.")
    if not api.base_url:
        raise UnreadableDocument("It names no server: add the URL of the API.")
    notes = list(api.notes)
    settings = {setting.name: setting for setting in api.settings}
    kept, left_out = _with_known_values(found, api.authentication)
    streams = _without_lost_children(_plan_streams(kept, found, settings, notes), left_out)
    if not streams:
        raise UnreadableDocument(f"None of its lists can be read. {[*notes, *left_out][-1]}")
    plan = SourcePlan(
        name=api.title or "New source",
        base_url=api.base_url,
        authentication=api.authentication,
        headers=_headers(api, kept, notes)[:20],
        settings=list(settings.values())[:30],
        streams=streams,
    )
    return ProposedPlan(plan, tuple(left_out), tuple(dict.fromkeys(notes)))


def _with_known_values(
    found: Sequence[ListEndpoint], authentication: Authentication
) -> tuple[Sequence[ListEndpoint], list[str]]:
    """Return the lists whose requests can be made, and the reasons why the other lists are left out.

    If no list could stay, all lists stay, and each unknown value becomes a setting.
    """
    unknown = {listed.name: _unknown_values(listed, found, authentication) for listed in found}
    as_settings = needs.needs_for_settings(unknown.values())
    kept = [listed for listed in found if unknown[listed.name] <= as_settings]
    if not kept:
        return found, []
    reasons = [
        needs.reason_to_leave_out(name, values - as_settings)
        for name, values in unknown.items()
        if not values <= as_settings
    ]
    return kept, reasons


def _unknown_values(
    listed: ListEndpoint, others: Sequence[ListEndpoint], authentication: Authentication
) -> set[needs.Need]:
    endpoint = listed.endpoint
    parent, _ = _parent_of(listed, others)
    in_path = set() if parent else needs.unknown_in_path(endpoint)
    in_query = needs.unknown_in_query(endpoint, _names_with_meaning(listed))
    return in_path | in_query | needs.unknown_headers(endpoint, authentication)


def _names_with_meaning(listed: ListEndpoint) -> set[str]:
    """Return the query parameters that the pagination and the cursor fill."""
    page = paging.find_pagination(listed.endpoint)
    _, since = records.find_cursor(listed.endpoint, listed.record)
    return {since, page.parameter, page.size_parameter}


def _headers(
    api: ApiDescription, kept: Sequence[ListEndpoint], notes: list[str]
) -> list[FixedValue]:
    """Return the headers of the API, and those that lists require. A header without a known value becomes a note."""
    headers = {header.name.lower(): header for header in api.headers}
    for listed in kept:
        for parameter in needs.required_headers(listed.endpoint, api.authentication):
            fixed = needs.fixed_header(parameter)
            if fixed is None:
                notes.append(
                    f"Requests need the header {needs.plain_name(parameter.name)}: add it to the headers of the plan."
                )
            else:
                headers.setdefault(fixed.name.lower(), fixed)
    return list(headers.values())


def reason_of(error: ValidationError) -> str:
    """Return the reason why a part of a plan is not valid."""
    return argument_errors.reason(error.errors()[0])


def _plan_streams(
    kept: Sequence[ListEndpoint],
    found: Sequence[ListEndpoint],
    settings: dict[str, PlannedSetting],
    notes: list[str],
) -> list[PlannedStream]:
    """Return the streams of the lists `kept`. A list that cannot be a stream is left out, with a note.

    The parents of the lists are searched in all lists, `found`.
    """
    streams: list[PlannedStream] = []
    for listed in kept:
        if len(streams) == MAX_STREAMS:
            notes.append(f"The plan has the first {MAX_STREAMS} of {len(kept)} lists.")
            break
        try:
            streams.append(_plan_stream(listed, found, settings, notes))
        except ValidationError as error:
            notes.append(f"{listed.name} was left out: {reason_of(error)}.")
    return streams


def _list_endpoints(endpoints: Sequence[Endpoint]) -> Iterator[ListEndpoint]:
    for endpoint in endpoints:
        name = _stream_name(endpoint.path)
        found = records.find_records(endpoint.response, name)
        ends_with_id = endpoint.path.rstrip("/").endswith("}")
        if name and found is not None and not (ends_with_id and found[0] != ""):
            path, renamed = _with_plain_names(endpoint)
            yield ListEndpoint(name, Endpoint(path, renamed, *_rest(endpoint)), *found)


def _rest(endpoint: Endpoint) -> tuple[Schema, bool, str]:
    return endpoint.response, endpoint.has_link_header, endpoint.description


def _with_plain_names(endpoint: Endpoint) -> tuple[str, tuple[Parameter, ...]]:
    """Return the path with names in braces that can be settings: {shop-id} becomes {shop_id}."""
    path = re.sub(r"\{([^{}]*)\}", lambda match: f"{{{_setting_name(match[1])}}}", endpoint.path)
    parameters = tuple(
        Parameter(_setting_name(p.name), p.place, p.required, p.description, p.schema)
        if p.place == "path"
        else p
        for p in endpoint.parameters
    )
    return path, parameters


def _setting_name(name: str) -> str:
    plain = re.sub(r"\W", "_", name).strip("_") or "value"
    return f"value_{plain}" if plain[0].isdigit() else plain


def _stream_name(path: str) -> str:
    """Return the last name of the path that is not in braces, without an ending such as .json."""
    steps = [step for step in path.split("/") if step and "{" not in step]
    last = re.sub(r"\.\w+$", "", steps[-1]) if steps else ""
    return re.sub(r"\W+", "_", last).strip("_").lower()[:60]


def _with_unique_names(found: Iterator[ListEndpoint]) -> list[ListEndpoint]:
    """Return the endpoints, parents first. A second endpoint of a name gets the name before it too: post_comments."""
    by_name: dict[str, ListEndpoint] = {}
    for listed in sorted(found, key=lambda one: len(one.path_names)):
        name, number = listed.name, 2
        if name in by_name:
            steps = [s for s in listed.endpoint.path.split("/") if s and "{" not in s]
            name = f"{records.singular(_stream_name(steps[-2]))}_{name}" if len(steps) > 1 else name
        while name in by_name:
            name, number = f"{listed.name}_{number}", number + 1
        by_name[name] = ListEndpoint(name, listed.endpoint, listed.records, listed.record)
    return list(by_name.values())


def _plan_stream(
    listed: ListEndpoint,
    others: Sequence[ListEndpoint],
    settings: dict[str, PlannedSetting],
    notes: list[str],
) -> PlannedStream:
    parent, path = _parent_of(listed, others)
    if not parent:
        for parameter in listed.endpoint.parameters:
            if parameter.place == "path":
                settings.setdefault(parameter.name, _setting(parameter))
        for name in PLACEHOLDER.findall(path):
            settings.setdefault(name, PlannedSetting(name=name))
    cursor_field, since = records.find_cursor(listed.endpoint, listed.record)
    fixed, extra_query = _required_parameters(listed, settings, notes)
    return PlannedStream(
        name=listed.name,
        path=path + extra_query,
        records=listed.records,
        primary_key=records.find_primary_key(listed.record, listed.name),
        cursor_field="" if parent else cursor_field,
        since="" if parent else since,
        parameters=fixed,
        parent=parent,
        pagination=paging.find_pagination(listed.endpoint),
    )


def _parent_of(listed: ListEndpoint, others: Sequence[ListEndpoint]) -> tuple[str, str]:
    """Return the stream whose records fill the braces, and the path: /posts/{post_id}/comments has the parent posts."""
    path = listed.endpoint.path
    if len(listed.path_names) != 1:
        return "", path
    prefix = path.partition("{")[0].rstrip("/")
    for other in others:
        if other.endpoint.path.rstrip("/") == prefix and not other.path_names:
            field = _field_for(listed.path_names[0], other)
            if field:
                return other.name, path.replace(f"{{{listed.path_names[0]}}}", f"{{{field}}}")
    return "", path


def _field_for(name: str, parent: ListEndpoint) -> str:
    """Return the field of the parent's records that fills the braces, or an empty text."""
    fields = parent.record.get("properties", {})
    keys = records.find_primary_key(parent.record, parent.name)
    return name if name in fields else (keys[0] if keys and keys[0].isidentifier() else "")


def _required_parameters(
    listed: ListEndpoint, settings: dict[str, PlannedSetting], notes: list[str]
) -> tuple[list[FixedValue], str]:
    """Return the required query parameters: those with a known value, and the others as settings in the path."""
    known_names = _names_with_meaning(listed)
    fixed: list[FixedValue] = []
    extra: list[str] = []
    for parameter in listed.endpoint.query_names().values():
        if not parameter.required or parameter.name in known_names:
            continue
        value = needs.known_value(parameter)
        if value is not None:
            fixed.append(FixedValue(name=parameter.name, value=value))
            name = needs.plain_name(parameter.name)
            notes.append(f"{listed.name}: the parameter {name} is always {value[:MAX_NOTE]!r}.")
            continue
        setting = _setting(parameter)
        settings.setdefault(setting.name, setting)
        extra.append(f"{parameter.name}={{{setting.name}}}")
    return fixed[:30], f"?{'&'.join(extra)}" if extra else ""


def _setting(parameter: Parameter) -> PlannedSetting:
    name = _setting_name(parameter.name).lower()
    name = name if parameter.place != "path" else parameter.name
    default = needs.known_value(parameter) if parameter.place == "path" else None
    return PlannedSetting(name=name, description=parameter.description, default=default)


def _without_lost_children(
    streams: list[PlannedStream], left_out: list[str]
) -> list[PlannedStream]:
    """Return the streams whose parents are streams too. For each other stream a reason is added to `left_out`."""
    names = {stream.name for stream in streams}
    lost = [stream for stream in streams if stream.parent and stream.parent not in names]
    left_out += [
        f"{stream.name} was left out, because it needs the stream {stream.parent}."
        for stream in lost
    ]
    return [stream for stream in streams if stream not in lost]
