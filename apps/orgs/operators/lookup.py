"""Find the org that an operator's command names."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from apps.orgs.models import Org
from apps.orgs.walls.scope import org_scope

SLUGS_SHOWN = 10


class NotOneOrg(Exception):
    """No org has this name, or several have."""


def org_named(named: str) -> Org:
    """Return the org with this slug or, if it is unique, this name; operators may search all orgs.

    Raises NotOneOrg, with some slugs to choose from.
    """
    every = Org.objects.using("ops")
    found = list(every.filter(slug=named)) or list(every.filter(name__iexact=named))
    if not found:
        slugs = _slugs(every.order_by("name"))
        raise NotOneOrg(f"There is no organization {named!r}. {slugs}")
    if len(found) > 1:
        raise NotOneOrg(
            f"{len(found)} organizations are named {named!r}: use the slug instead. {_slugs(found)}"
        )
    with org_scope(found[0].pk):
        return Org.objects.get(pk=found[0].pk)


def _slugs(orgs: Iterable[Org]) -> str:
    """List the first few slugs, to copy one of them."""
    known = [org.slug for org in islice(orgs, SLUGS_SHOWN + 1)]
    more = ", …" if len(known) > SLUGS_SHOWN else ""
    return f"Slugs: {', '.join(known[:SLUGS_SHOWN]) or 'none yet'}{more}."
