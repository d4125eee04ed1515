"""Which runs and pipelines a principal can see: an API key limited to a domain sees that domain's only."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from apps.orgs.models import Org
from apps.orgs.placement import visible
from apps.orgs.principals import Principal
from apps.pipelines.models import Pipeline
from apps.runs.models import Run


def pipelines(org: Org | UUID, principal: Principal) -> Any:
    """The pipelines of the org that the principal can see."""
    return visible(Pipeline.objects.for_org(org), principal)


def runs(org: Org | UUID, principal: Principal) -> Any:
    """The runs of those pipelines."""
    rows = Run.objects.for_org(org)
    if principal.only_domain is None:
        return rows
    return rows.filter(pipeline__domain_id=principal.only_domain)
