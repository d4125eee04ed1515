"""What a user can do about a failure: the next step in words, the side whose connector to check, and the setting to change."""

from __future__ import annotations

from typing import Literal

from apps.engine.failures import (
    CODE_WAS_SILENT,
    COLUMNS_CHANGED,
    IS_PINNED,
    LACKS_PERMISSION,
    LIMITS_OF_ORG,
    NO_SUCH,
    REMOVES_ALL_ROWS,
    RESET_STREAM,
    RUN_WAS_SILENT,
    SECONDS_OF_CPU_TIME,
    TABLE_GONE,
    TOO_MANY_REJECTED,
    USER_CODE_PREFIXES,
    WITH_READABLE_COLUMNS,
    FailureClass,
)

Side = Literal["source", "destination"]
Setting = Literal[
    "timeout_seconds",
    "stream",
    "table",
    "sync_mode",
    "cursor_field",
    "primary_key",
    "write_mode",
    "allow_empty",
    "max_rejected_share",
    "contract",
    "transforms",
]
SIDES: tuple[Side, ...] = ("source", "destination")
# The classes of failures that the settings of a connector can cause, and the sides whose settings may be wrong.
SIDES_BY_CLASS: dict[FailureClass, tuple[Side, ...]] = {
    FailureClass.AUTHENTICATION: SIDES,
    FailureClass.CONFIGURATION: SIDES,
    FailureClass.RATE_LIMIT: SIDES,
    FailureClass.SOURCE: ("source",),
    FailureClass.DESTINATION: ("destination",),
}

NEXT_STEPS: dict[FailureClass, str] = {
    FailureClass.CONFIGURATION: "Correct the settings named in the message, then run the pipeline again.",
    FailureClass.AUTHENTICATION: "Update the connector's password or key, test it, then retry.",
    FailureClass.RATE_LIMIT: "Wait, or run this pipeline less often: the source or the destination limits the number of "
    "requests.",
    FailureClass.SOURCE: "Test the source's connector, then retry: the run continues from the last checkpoint.",
    FailureClass.DESTINATION: "Test the destination's connector, then retry.",
    FailureClass.CONTRACT: "See the evidence: the structure of the data has changed. Adjust the pipeline or the source.",
    FailureClass.CANCELLED: "Retry to continue from the last checkpoint.",
    FailureClass.TIMEOUT: "Raise the pipeline's time limit, or retry: the run continues from the last checkpoint.",
    FailureClass.MEMORY: "Request smaller pages or files, or ask the operator of Drover to give runs more memory "
    "(DROVER_CHILD_MEMORY_MB).",
    FailureClass.CRASHED: "Retry once; if it crashes again, check the last lines of the log and how much memory the run "
    "needs.",
    FailureClass.INTERNAL: "This is a bug in Drover: report it with the evidence below.",
}

# A retry has the definition with which the run was started, but the connectors of now.
RETRY_OR_RUN = (
    "If the change is not in this pipeline, retry: streams that are published are not read again. After a change of the "
    "pipeline, run it again."
)
# The steps after failures for which another attempt without a change is useless, where `NEXT_STEPS` would advise one.
STEPS_BEFORE_RETRY: dict[FailureClass, str] = {
    FailureClass.RATE_LIMIT: "Run this pipeline less often: the source or the destination limits the number of requests.",
    FailureClass.SOURCE: "Correct what the message and the evidence name: at the source, in the settings of its connector, or in "
    f"the stream of this pipeline. {RETRY_OR_RUN}",
    FailureClass.DESTINATION: "Correct what the message and the evidence name: at the destination, in the settings of its "
    f"connector, or in the stream of this pipeline. {RETRY_OR_RUN}",
    FailureClass.TIMEOUT: "Reduce the work of one run, for example by a smaller page size or fewer streams, then run the pipeline "
    "again.",
    FailureClass.CRASHED: "Check the last lines of the log and how much memory the run needs. Correct what they show, then run the "
    "pipeline again.",
}

TIMEOUT_STEPS: dict[str, str] = {  # {text in the failure's message: next step}
    RUN_WAS_SILENT: "Check whether the source or the destination hangs, then retry: the run continues from the last "
    "checkpoint. If such pauses are normal, ask the operator of Drover to raise DROVER_RUN_SILENCE_SECONDS.",
    CODE_WAS_SILENT: "Return smaller pages from the code, and set timeouts on its requests; or ask the operator of "
    "Drover to raise DROVER_SANDBOX_SILENCE_SECONDS.",
    SECONDS_OF_CPU_TIME: "Reduce the work of the code per run, or ask the operator of Drover to raise DROVER_SANDBOX_CPU_SECONDS.",
}

STEPS_BY_MESSAGE: dict[FailureClass, dict[str, str]] = {
    FailureClass.TIMEOUT: TIMEOUT_STEPS,
    FailureClass.AUTHENTICATION: {
        LACKS_PERMISSION: "Grant the connector's user the permission that the evidence names, then retry. Reading needs "
        "USAGE on the schema and SELECT on the table; writing needs USAGE and CREATE on the schema and ownership of the "
        "table, and CREATE on the database if the schema does not exist yet.",
    },
    FailureClass.CONFIGURATION: {
        RESET_STREAM: "Undo the change, or reset the stream under State on the pipeline's page (POST "
        "/api/v1/pipelines/{id}/state/reset) and run the pipeline: it reads all records again and replaces those that it has "
        "published.",
        **dict.fromkeys(
            LIMITS_OF_ORG,
            "Ask an admin to raise the organization's limit, or wait for the next month. Then retry: the run continues "
            "from the last checkpoint.",
        ),
        NO_SUCH: f"Create what is missing, or correct its name in the settings. {RETRY_OR_RUN}",
        WITH_READABLE_COLUMNS: "Correct the stream's name, or grant the connector's user SELECT on the table and "
        f"USAGE on its schema. {RETRY_OR_RUN}",
    },
    FailureClass.CONTRACT: {
        REMOVES_ALL_ROWS: "Find out why the source returned no records, and run the pipeline again. If an empty result is "
        'right, allow it: switch on "An empty result may replace rows" under Configuration on the pipeline\'s page '
        "(allow_empty of the stream), then retry.",
        COLUMNS_CHANGED: "If a new column is right, accept it under Changes at the source on the pipeline's page (POST "
        '/api/v1/pipelines/{id}/drift/{change_id}) and run the pipeline, or choose "Let them arrive" for new and changed columns '
        "under Configuration (contract of the stream), or add a rule that keeps, casts or drops the field. If the "
        "type of a column has changed, reset the stream under State (POST /api/v1/pipelines/{id}/state/reset) and run the pipeline. "
        "Else correct the source or the transform, and run the pipeline again.",
        IS_PINNED: "Look at the rejected records on the run's page. If the new type is right, reset the stream under State on "
        "the pipeline's page (POST /api/v1/pipelines/{id}/state/reset) and run the pipeline: it reads all records again and decides all types again. "
        "Else correct the source or the transform, and run the pipeline again.",
        TOO_MANY_REJECTED: "Look at the rejected records on the run's page, correct the source or the transform, and run the "
        'pipeline again. If they may be missing, raise "Rejected records allowed" under Configuration on the pipeline\'s page '
        "(max_rejected_share of the stream), then retry: the run publishes what it has read.",
    },
    FailureClass.SOURCE: {
        "the response has no records": "Compare the path of the records with what the evidence says that the response has, correct "
        "it in the connector's settings, and run the pipeline again. docs/reference/api-styles.md has examples.",
        "the API returns the same page again": "The API ignores how the next page is requested. Correct the pagination of the stream "
        "in the connector's settings, and run the pipeline again. docs/reference/api-styles.md has examples.",
    },
    FailureClass.DESTINATION: {TABLE_GONE: "Find out what removed the table, then retry."},
}
# The setting of the pipeline that a message is about. The first text counts that the message has.
SETTINGS_BY_MESSAGE: dict[FailureClass, dict[str, Setting]] = {
    FailureClass.CONFIGURATION: {
        "primary key": "primary_key",
        "choose another table": "table",
        "write mode": "write_mode",
        "cursor field": "cursor_field",
        "has no column": "cursor_field",
        "by full refresh": "sync_mode",
        "no stream": "stream",
        WITH_READABLE_COLUMNS: "stream",
    },
    FailureClass.CONTRACT: {
        REMOVES_ALL_ROWS: "allow_empty",
        TOO_MANY_REJECTED: "max_rejected_share",
        COLUMNS_CHANGED: "contract",
    },
}
BAD_LINES_STEP = ' Lines that cannot be read can be left out: set "Bad lines" to skip on the page of the source (bad_lines).'
CODE_STEP = "Correct the code (the evidence names the line, if it is known), try it in the preview, then run the pipeline again."


def next_step(
    failure: FailureClass, message: str, *, retryable: bool | None, source_kind: str = ""
) -> str:
    """Return advice for the user. It depends on the message too, which names, for example, the reached limit.

    If a retry without a change cannot help (`retryable` is False), the advice names a change first. None is
    the value of attempts that older releases stored. `source_kind` is the kind of the pipeline's source, if it is known.
    """
    may_be_code = failure in {FailureClass.SOURCE, FailureClass.CONTRACT}
    if may_be_code and message.startswith(USER_CODE_PREFIXES):
        return CODE_STEP
    for text, step in STEPS_BY_MESSAGE.get(failure, {}).items():
        if text in message:
            return step + (
                BAD_LINES_STEP if (text, source_kind) == (TOO_MANY_REJECTED, "files") else ""
            )
    if retryable is False and failure in STEPS_BEFORE_RETRY:
        return STEPS_BEFORE_RETRY[failure]
    return NEXT_STEPS[failure]


def sides_to_check(failure: FailureClass) -> tuple[Side, ...]:
    """Return the sides of the pipeline whose connectors the user may have to change or test."""
    return SIDES_BY_CLASS.get(failure, ())


def setting_to_change(failure: FailureClass, message: str) -> Setting | None:
    """Return the setting of the pipeline, or of its stream, that the failure is about. None if it is about no single one."""
    if message.startswith("The transform "):
        return "transforms"
    if failure is FailureClass.TIMEOUT:
        has_own_step = any(text in message for text in TIMEOUT_STEPS)
        return None if has_own_step else "timeout_seconds"
    settings = SETTINGS_BY_MESSAGE.get(failure, {})
    return next((name for text, name in settings.items() if text.lower() in message.lower()), None)
