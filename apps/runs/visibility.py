"""Which runs and pipelines a principal can see: an API key limited to a domain sees that domain's only."""

from __future__ import annotations

from typing import Any

from apps.orgs.placement import visible
from apps.orgs.principals import Principal
from apps.pipelines.models import Pipeline
from apps.runs.models import Run


def pipelines(principal: Principal) -> Any:
    """The pipelines of the principal's org that it can see."""
    return visible(Pipeline.objects.for_org(principal.org_id), principal)


def runs(principal: Principal) -> Any:
    """The runs of those pipelines."""
    rows = Run.objects.for_org(principal.org_id)
    if principal.only_domain is None:
        return rows
    return rows.filter(pipeline__domain_id=principal.only_domain)
