"""The files a run published: which there are, and reading one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.files.storage import default_storage

from apps.orgs.exceptions import NotFound
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.runs import visibility
from apps.runs.models import Output
from apps.runs.outputs import storage


def of_run(*, org: Org, by: Principal, run_id: UUID) -> Any:
    """The run's files as a QuerySet, by name. Raises NotFound."""
    visibility.readable_run(org=org, by=by, run_id=run_id)
    return Output.objects.for_org(org).filter(run_id=run_id).order_by("name")


def named(*, org: Org, by: Principal, run_id: UUID, name: str) -> Output:
    """Raises NotFound."""
    found: Output | None = of_run(org=org, by=by, run_id=run_id).filter(name=name).first()
    if found is None:
        raise NotFound
    return found


def fetch(output: Output, *, link: bool) -> Any:
    """The open file; with `link` a URL of the object store that works for a few minutes, if it makes such URLs.

    Touches storage, not the database. Raises NotFound when the file was removed meanwhile.
    """
    url = storage.signed_url(output.key, name=short_name(output)) if link else None
    if url:
        return url
    try:
        return default_storage.open(output.key, "rb")
    except FileNotFoundError:
        raise NotFound from None


def short_name(output: Output) -> str:
    """Its name without folders."""
    return output.name.rpartition("/")[2]
