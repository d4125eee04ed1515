"""Which org an operator's command means."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from apps.orgs.models import Org
from apps.orgs.tenancy import org_scope

SLUGS_SHOWN = 10


class NotOneOrg(Exception):
    """No org is named so, or several are."""


def org_named(named: str) -> Org:
    """The org with this slug or, if it is the only one, this name; operators may look across orgs.

    Raises NotOneOrg, which shows some slugs to choose from.
    """
    every = Org.objects.using("ops")
    found = list(every.filter(slug=named)) or list(every.filter(name__iexact=named))
    if not found:
        slugs = _slugs(every.order_by("name"))
        raise NotOneOrg(f"There is no organization {named!r}. {slugs}")
    if len(found) > 1:
        raise NotOneOrg(
            f"{len(found)} organizations are named {named!r}: say which by its slug. {_slugs(found)}"
        )
    with org_scope(found[0].pk):
        return Org.objects.get(pk=found[0].pk)


def _slugs(orgs: Iterable[Org]) -> str:
    """The first few slugs, so that one can be copied."""
    known = [org.slug for org in islice(orgs, SLUGS_SHOWN + 1)]
    more = ", …" if len(known) > SLUGS_SHOWN else ""
    return f"Slugs: {', '.join(known[:SLUGS_SHOWN]) or 'none yet'}{more}."
