"""Read the parts of a request: body, query and preconditions. `PublicView` is the base class of public routes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, ClassVar, TypeVar, cast

from rest_framework.request import Request
from rest_framework.serializers import BaseSerializer, Field, ListSerializer, Serializer
from rest_framework.views import APIView

from apps.web.problems import Problem
from apps.web.wire import refuse_nul_in_query

DataT = TypeVar("DataT")  # the type of a serializer's validated data, a TypedDict


class PublicView(APIView):
    """A route without a credential. `public_because` gives the reason; a guard test requires it."""

    public_because: ClassVar[str]


def data_of(
    serializer: type[Serializer[DataT]], request: Request, *, partial: bool = False
) -> DataT:
    """Return the validated body. Its type is the serializer's: `class Login(Serializer[LoginData])`.

    Unknown fields are errors. Otherwise a misspelled field would be ignored without notice.
    """
    form = serializer(data=request.data, partial=partial)
    unknown = list(_unknown_fields(form, request.data))
    if unknown:
        errors = [(name, "This field is not known.", "unknown") for name in unknown]
        raise Problem(422, "Some fields are invalid.", "invalid", errors)
    form.is_valid(raise_exception=True)
    return cast(DataT, dict(form.validated_data))


def _unknown_fields(form: Field[Any, Any, Any, Any], data: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of fields that the serializer does not have, including nested fields."""
    if isinstance(form, ListSerializer):
        items = data if isinstance(data, list) else []
        for index, item in enumerate(items):
            if form.child is not None:
                yield from _unknown_fields(form.child, item, f"{path}{index}.")
    elif isinstance(form, Serializer) and isinstance(data, Mapping):
        for name in sorted(data):
            if name not in form.fields:
                yield f"{path}{name}"
            elif isinstance(inner := form.fields[name], BaseSerializer):
                yield from _unknown_fields(inner, data[name], f"{path}{name}.")


def query_of(serializer: type[Serializer[DataT]], request: Request) -> DataT:
    """Return the validated query parameters of a list, typed as in `data_of`.

    apps.web.paging reads `cursor`, `limit` and `order`.
    """
    values = {
        k: v for k, v in request.query_params.items() if k not in {"cursor", "limit", "order"}
    }
    if not values and (defaults := _defaults(serializer)) is not None:
        return cast(DataT, dict(defaults))
    refuse_nul_in_query(values)
    form = serializer(data=values)
    unknown = sorted(set(values) - set(form.fields))
    if unknown or not form.is_valid():
        errors = {name: ["This parameter is not known."] for name in unknown} or form.errors
        flat = [(str(name), str(messages[0]), "invalid") for name, messages in errors.items()]
        raise Problem(400, "Some query parameters are invalid.", "malformed", flat)
    return cast(DataT, dict(form.validated_data))


@lru_cache(maxsize=64)
def _defaults(serializer: type[Serializer[Any]]) -> dict[str, Any] | None:
    """Return the default values of all parameters, or None if a parameter is required.

    The result is cached. Creating the serializer takes an eighth of the time of a list request.
    """
    form = serializer(data={})
    return dict(form.validated_data) if form.is_valid() else None


def etag(version: int | str) -> str:
    return f'"{version}"'


def match_of(request: Request) -> frozenset[str] | None:
    """Return the versions in If-Match, or None if any version is accepted."""
    header = request.headers.get("If-Match", "*").strip()
    if header == "*":
        return None
    tags = [tag.strip() for tag in header.split(",")]
    return frozenset(tag[1:-1] for tag in tags if len(tag) > 1 and tag[0] == tag[-1] == '"')
