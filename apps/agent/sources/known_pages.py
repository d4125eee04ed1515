"""Pages that may be fetched without asking again.

The first page of a host always needs an approval. It counts in its conversation only: in another one the user may not
expect that the host is reached. A page that only a document has named needs an approval too, so that links are not
followed unless the user says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import UUID

from apps.agent.models import Approval, ApprovalState, Turn
from apps.agent.sources import fetching
from apps.orgs.models import Org

TOOL = "fetch_documentation"
URL_IN_TEXT = re.compile(r"https?://[^\s<>\"'`]+")


def is_known(org: Org, conversation_id: UUID, url: str) -> bool:
    """Whether the user has approved a page of this host in the conversation, and has named this page.

    Raises UnreadableDocument for another kind of URL.
    """
    fetching.host_of(url)
    approved = set(_approved_urls(org, conversation_id))
    if _origin(url) not in {_origin(known) for known in approved}:
        return False
    return url in approved or url in set(_urls_of_user(org, conversation_id))


def _approved_urls(org: Org, conversation_id: UUID) -> Iterator[str]:
    approvals = Approval.objects.for_org(org).filter(
        conversation_id=conversation_id, tool=TOOL, state=ApprovalState.USED
    )
    for arguments in approvals.values_list("arguments", flat=True):
        yield str(arguments.get("url"))


def _urls_of_user(org: Org, conversation_id: UUID) -> Iterator[str]:
    """Yield the URLs in the user's messages and answers."""
    turns = Turn.objects.for_org(org).filter(conversation_id=conversation_id)
    answered = Approval.objects.for_org(org).filter(
        conversation_id=conversation_id, state=ApprovalState.ANSWERED
    )
    texts = [*turns.values_list("text", flat=True)]
    texts += [
        str((answer or {}).get("text")) for answer in answered.values_list("answer", flat=True)
    ]
    for text in texts:
        for url in URL_IN_TEXT.findall(text):
            yield url.rstrip(".,;:!?)]}")


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()
