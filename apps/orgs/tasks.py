"""Procrastinate tasks of orgs. Each makes one call, and is safe to run twice."""

from __future__ import annotations

from uuid import UUID

from procrastinate.contrib.django import app

from apps.auth.mailing import mail
from apps.auth.tasks import RETRY_FOR_TWO_HOURS
from apps.orgs.members import invitations, verified_domains


@app.task(name=invitations.MAIL_TASK, queue=mail.QUEUE, retry=RETRY_FOR_TWO_HOURS)
def mail_invitation(*, org_id: str, invitation_id: str) -> None:
    invitations.deliver(org_id=UUID(org_id), invitation_id=UUID(invitation_id))


@app.periodic(cron="47 * * * *")
@app.task(name="orgs.recheck_domains", queue=mail.QUEUE, queueing_lock="orgs.recheck_domains")
def recheck_domains(timestamp: int) -> None:
    verified_domains.defer_rechecks()


@app.task(name=verified_domains.RECHECK_TASK, queue=mail.QUEUE)
def recheck_domain(*, org_id: str, domain_id: str) -> None:
    verified_domains.recheck(org_id=UUID(org_id), domain_id=UUID(domain_id))
