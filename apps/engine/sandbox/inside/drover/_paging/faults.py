"""What is wrong with the pages of a stream, so that the run fails instead of leaving out records."""

from __future__ import annotations

from drover._failures import ConfigurationError, SourceFailure


class RepeatedPages(SourceFailure):
    """The API returns pages again that it has returned before."""

    retryable = False


class ErrorInsteadOfPage(SourceFailure):
    """A response without records is not like the responses before, so it may be an error instead of the end."""


class EndsTooEarly(SourceFailure):
    """The pages end before the number of pages that the API reports."""


class NotReady(SourceFailure):
    """The API has accepted the request, but does not return its result yet."""


class UnexpectedStatus(SourceFailure):
    """The status of the response is neither a success nor one that the settings name."""

    retryable = False


class WrongFirstPage(ConfigurationError):
    """The settings begin with the second page."""


class PageCountsRecords(ConfigurationError):
    """The parameter for the number of the page is a number of records."""


class PageLeftOut(SourceFailure):
    """A page is empty, but records follow it."""


class RecordsRemoved(SourceFailure):
    """Records were removed while the pages were read, so the position is not reliable any more."""


class ListCut(ConfigurationError):
    """A list inside of an item does not have all of its records."""
