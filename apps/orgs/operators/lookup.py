"""Find an org by the slug or name in an operator's command."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from apps.orgs.models import Org
from apps.orgs.walls.scope import org_scope

MAX_SLUGS_SHOWN = 10


class NoSingleOrg(Exception):
    """No org, or more than one org, has this name."""


def find_org(name: str) -> Org:
    """Return the org with this slug, or the only org with this name. Searches all orgs.

    Raises NoSingleOrg. Its message lists some slugs to choose from.
    """
    all_orgs = Org.objects.using("ops")
    matching = list(all_orgs.filter(slug=name)) or list(all_orgs.filter(name__iexact=name))
    if not matching:
        slugs = _list_slugs(all_orgs.order_by("name"))
        raise NoSingleOrg(f"There is no organization {name!r}. {slugs}")
    if len(matching) > 1:
        raise NoSingleOrg(
            f"{len(matching)} organizations are named {name!r}: use the slug instead. {_list_slugs(matching)}"
        )
    with org_scope(matching[0].pk):
        return Org.objects.get(pk=matching[0].pk)


def _list_slugs(orgs: Iterable[Org]) -> str:
    """List the first few slugs, so that the operator can copy one."""
    slugs = [org.slug for org in islice(orgs, MAX_SLUGS_SHOWN + 1)]
    more = ", …" if len(slugs) > MAX_SLUGS_SHOWN else ""
    return f"Slugs: {', '.join(slugs[:MAX_SLUGS_SHOWN]) or 'none yet'}{more}."
