"""The exceptions of alerts."""

from __future__ import annotations

from apps.auth.exceptions import TooManyAttempts
from apps.orgs.exceptions import Conflict, PermissionMissing


class ChannelNameTaken(Conflict):
    """Another channel has this name."""

    code = "name_taken"


class TooManyChannels(Conflict):
    """The organization has 50 channels, which is the most: delete one first."""

    code = "too_many_channels"


class TooManyRules(Conflict):
    """The organization has 200 rules, which is the most: delete one first."""

    code = "too_many_rules"


class ChannelDisabled(Conflict):
    """The channel is disabled: enable it first."""

    code = "channel_disabled"


class ChannelOfHiddenRule(PermissionMissing):
    """A rule that you cannot see uses this channel, so you could read its messages: ask an admin, or create another channel."""

    def __str__(self) -> str:
        return f"{self.__doc__} This needs the permission {self.permission.value}."


class StillPending(Conflict):
    """This delivery is still being sent. It can be sent again when it has ended."""

    code = "still_pending"


class IncidentOpen(Conflict):
    """Other alerts of the same incident are open: it is resolved when they have recovered."""

    code = "incident_open"


class FollowUpNameTaken(Conflict):
    """Something else that is called after the runs of the pipeline has this name."""

    code = "name_taken"


class TooManyFollowUps(Conflict):
    """20 calls are made after the runs of the pipeline, which is the most: delete one first."""

    code = "too_many_follow_ups"


class FollowUpDisabled(Conflict):
    """The call is disabled: enable it first."""

    code = "follow_up_disabled"


class TestPending(Conflict):
    """A test of this call waits already. Its answer will be in the list of calls."""

    code = "still_pending"


class NoRunToTell(Conflict):
    """No run of the pipeline has ended yet, so there is nothing to tell: run the pipeline first."""

    code = "no_run"


class TooManyFreshnessPages(Conflict):
    """The organization has 20 freshness pages, which is the most: delete one first."""

    code = "too_many_pages"


class TooManyReads(TooManyAttempts):
    """Your address has read public pages more than 300 times in a minute: wait until the next minute."""
