"""Read the parts of a request: body, query and preconditions. `PublicView` is the base class of public routes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, ClassVar, TypeVar, cast

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.serializers import BaseSerializer, Field, ListSerializer, Serializer
from rest_framework.views import APIView

from apps.web.problems import Problem
from apps.web.wire import refuse_nul_in_query

DataT = TypeVar("DataT")  # the type of a serializer's validated data, a TypedDict


# The words of the REST framework are those of Python: a dictionary, the type "NoneType", a valid string.
NUMBER_MESSAGES = {
    "max_value": "Must be at most {max_value}.",
    "min_value": "Must be at least {min_value}.",
    "max_string_length": "This number has too many digits.",
    "overflow": "This number is too large.",
}
LIST_MESSAGES = {
    "not_a_list": "Must be a list.",
    "empty": "At least one entry.",
    "min_length": "At least {min_length} entries.",
    "max_length": "At most {max_length} entries.",
}
PLAIN_MESSAGES: Mapping[type[Field[Any, Any, Any, Any]], Mapping[str, str]] = {
    serializers.BooleanField: {"invalid": "Must be true or false."},
    serializers.CharField: {
        "invalid": "Must be a text.",
        "blank": "Must not be empty.",
        "max_length": "At most {max_length} characters.",
        "min_length": "At least {min_length} characters.",
    },
    serializers.IntegerField: {"invalid": "Must be a whole number.", **NUMBER_MESSAGES},
    serializers.FloatField: {"invalid": "Must be a number.", **NUMBER_MESSAGES},
    serializers.DateTimeField: dict.fromkeys(
        ("invalid", "date"), "Must be a time, such as 2026-03-01T06:00:00Z."
    ),
    serializers.DateField: dict.fromkeys(
        ("invalid", "datetime"), "Must be a day, such as 2026-03-01."
    ),
    serializers.ChoiceField: {"invalid_choice": "This is not one of the allowed values."},
    serializers.MultipleChoiceField: LIST_MESSAGES,
    serializers.ListField: LIST_MESSAGES,
    ListSerializer: LIST_MESSAGES,
    serializers.DictField: {"not_a_dict": "Must be an object."},
    Serializer: {"invalid": "Must be an object."},
}
for _field, _messages in PLAIN_MESSAGES.items():
    _field.default_error_messages = {**_field.default_error_messages, **_messages}


def _with_choices(field: Any, detail: Any) -> Any:
    """Return the errors of a serializer's field, with the allowed values of each choice."""
    if isinstance(detail, Mapping):
        return {name: _with_choices(_inner(field, name), inner) for name, inner in detail.items()}
    if isinstance(detail, list):
        child = field.child if isinstance(field, ListSerializer) else field
        return [_with_choices(child, inner) for inner in detail]
    is_choice = getattr(detail, "code", "") == "invalid_choice"
    if not is_choice or not isinstance(field, serializers.ChoiceField):
        return detail
    return ErrorDetail(f"Must be one of {', '.join(map(str, field.choices))}.", detail.code)


def _inner(field: Any, name: Any) -> Any:
    return (
        field.fields.get(name) if isinstance(field, Serializer) else getattr(field, "child", None)
    )


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
    if not form.is_valid():
        raise ValidationError(_with_choices(form, form.errors))
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
        errors = {name: ["This parameter is not known."] for name in unknown} or _with_choices(
            form, form.errors
        )
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
