"""The English words of guided mode's requests. The words of schedules are in apps.pipelines.schedules.vocabulary."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words before a request that mean nothing for it.
POLITE = _words(
    """
    please hi hello hey ok okay so now then can could would will should you i we me us want wanna need like to d'like i'd we'd
    let let's lets just drover agent go ahead and kindly help also
    """
)
# Words around a name that are not part of it.
FILLERS = _words(
    """
    the a an my our your its this that these those all any some of on for from in to into with as is are was were be been
    pipeline pipelines connector connectors source destination stream streams table tables data run runs last latest newest
    current schedule once now please again today right away over across directly straight immediately it them always still so does did do has have had get gets
    hasn't haven't isn't doesn't didn't won't wasn't
    """
)
# What people say after the name of a connector, such as "the shop database".
PLACES = _words("database databases db dbs")
# What a name may be if the request means something that was mentioned before.
PRONOUNS = frozenset({"", "it", "this", "that", "them", "one", "this one", "that one"})

LIST = frozenset(
    {
        "list",
        "which",
        "what",
        "what's",
        "show",
        "display",
        "give",
        "find",
        "are",
        "is",
        "how",
        "do",
        "anything",
        "history",
    }
)
SHOW = frozenset(
    {
        "show",
        "open",
        "describe",
        "display",
        "view",
        "status",
        "when",
        "how",
        "how's",
        "what",
        "what's",
        "details",
    }
)
# Words after the name in a question such as "is flights enabled?".
ASKED_STATES = frozenset(
    {"enabled", "disabled", "running", "scheduled", "active", "paused", "ok", "on", "off", "done"}
)
EXPLAIN = frozenset(
    {
        "why",
        "explain",
        "diagnose",
        "fix",
        "repair",
        "solve",
        "debug",
        "investigate",
        "troubleshoot",
        "wrong",
        "happened",
    }
)
FIX = frozenset({"fix", "repair", "solve"})
UNDO = frozenset({"undo", "revert", "rollback"})
UNDO_PHRASES = frozenset({("roll", "back"), ("take", "back")})
UNDO_VERBS = frozenset({"change", "put", "set"})
# A request such as "weather failed" is a question about the reason.
COMPLAINTS = frozenset(
    {"late", "failing", "failed", "fails", "broken", "stuck", "empty", "slow", "waiting"}
)
# These verbs make a pipeline if a destination follows, as in "get weather into Warehouse".
FETCH = frozenset({"get", "bring", "put", "store", "save", "backup", "back"})
# A noun before "of", as in "set up a daily sync of airlines".
COPY_NOUNS = frozenset(
    {"copy", "sync", "import", "export", "load", "transfer", "backup", "replica"}
)
# These verbs make a pipeline; the ones of BUILD only together with "pipeline", or with "from" and "to".
COPY = _words("sync copy load replicate import export transfer ingest pull push mirror move send")
BUILD = _words(
    "create make add set build put bring schedule write read new propose back backup connect"
)
MAKE = COPY | BUILD
CHANGE = frozenset(
    {
        "change",
        "set",
        "update",
        "edit",
        "modify",
        "move",
        "reschedule",
        "schedule",
        "make",
        "run",
        "switch",
    }
)
# Guided mode cannot rename these. It says so if it is asked to.
CANNOT_BE_RENAMED = frozenset({"connector", "connection", "source", "destination", "conversation"})
# All streams are meant by these words, and by those of WHOLE before a source or "database".
ALL = frozenset({"all", "everything"})
WHOLE = frozenset({"whole", "entire", "complete"})
SOURCE_WORDS = frozenset({"database", "databases", "db", "source", "schema"})
ONE_STREAM = frozenset({"table", "stream", "endpoint"})
# With one of these words each stream gets a pipeline of its own.
SEPARATE = frozenset({"separate", "separately", "individual", "individually"})
BEFORE_PIPELINES = frozenset((word,) for word in SEPARATE)  # as in "in separate pipelines"
STOP = frozenset({"stop", "quit"})
COPYING = frozenset(
    {(f"{verb}ing",) for verb in ("copy", "sync", "load", "read", "replicat", "import", "mov")}
)
# What is done with a field, and the words for fields.
TREATMENTS: dict[str, str] = {
    **dict.fromkeys(("hash", "pseudonymize", "pseudonymise"), "hash"),
    **dict.fromkeys(("redact", "mask", "hide"), "redact"),
    **dict.fromkeys(("drop", "remove", "omit"), "drop"),
}
FIELD_WORDS = frozenset({"column", "columns", "field", "fields"})
DECISIONS = {"accept": "accept", "ignore": "ignore"}
REMOVE = frozenset({"remove", "exclude", "omit"})
UNSCHEDULE = frozenset({"unschedule", "remove", "delete", "clear", "stop"})
HELP = frozenset({"help", "hi", "hello", "hey", "?", "commands", "examples"})
HELP_PHRASES = (
    "what can you",
    "who are you",
    "what are you",
    "how do you work",
    "what do you understand",
    "are you a",
)
THANKS = frozenset({"thanks", "thank you", "thx", "cheers", "great", "perfect", "nice"})
# A message of these words is no approval: the user has to press a button.
CONSENT = frozenset(
    {
        "yes",
        "yes please",
        "y",
        "yep",
        "yeah",
        "sure",
        "approve",
        "approved",
        "i approve",
        "i approve it",
        "approve it",
        "confirm",
        "confirmed",
        "do it",
        "go ahead",
        "yes do it",
        "yes go ahead",
        "ok",
        "okay",
        "proceed",
    }
)
GIVE_UP = frozenset(
    {"no", "none", "cancel", "stop", "never mind", "nevermind", "forget it", "nothing", "neither"}
)

NOUNS = {
    **dict.fromkeys(("pipelines", "pipeline", "syncs"), "pipelines"),
    **dict.fromkeys(("runs", "executions", "history"), "runs"),
    **dict.fromkeys(("connectors", "connections"), "connectors"),
    **dict.fromkeys(("sources",), "sources"),
    **dict.fromkeys(("destinations", "targets", "warehouses"), "destinations"),
    **dict.fromkeys(("streams", "tables", "endpoints", "columns"), "streams"),
}
RUN_STATES = {
    **dict.fromkeys(("failed", "failing", "broken"), "failed"),
    **dict.fromkeys(("running", "active"), "running"),
    **dict.fromkeys(("waiting", "pending", "queued"), "pending"),
    **dict.fromkeys(("succeeded", "successful", "finished"), "succeeded"),
    **dict.fromkeys(("cancelled", "canceled"), "cancelled"),
}
DELETE = ("delete", "remove", "drop", "destroy")
# Words that begin a request about one pipeline or run.
ACTIONS: dict[tuple[str, ...], str] = {
    ("turn", "on"): "enable",
    ("switch", "on"): "enable",
    ("turn", "off"): "disable",
    ("switch", "off"): "disable",
    ("kick", "off"): "run",
    ("get", "rid", "of"): "delete",
    ("run", "again"): "retry",
    ("try", "again"): "retry",
    **{(word,): "enable" for word in ("enable", "activate", "unpause", "resume")},
    **{(word,): "disable" for word in ("disable", "deactivate", "pause")},
    **{(word,): "retry" for word in ("retry", "rerun", "restart")},
    **{(word,): "run" for word in ("run", "start", "trigger", "execute", "launch")},
    **{(word,): "cancel" for word in ("cancel", "stop", "abort", "kill")},
    **{(word,): "delete" for word in DELETE},
}
KINDS = {
    **dict.fromkeys(("postgres", "postgresql", "pg", "psql"), "postgres"),
    **dict.fromkeys(("duckdb", "duck"), "duckdb"),
    **dict.fromkeys(("parquet",), "parquet"),
    **dict.fromkeys(("csv",), "csv"),
    **dict.fromkeys(("jsonl", "ndjson"), "jsonl"),
    **dict.fromkeys(("rest", "http", "api"), "rest"),
    **dict.fromkeys(("file", "files"), "files"),
}
API_DOCUMENTS = frozenset({"openapi", "swagger", "postman", "openapi.json", "swagger.json"})
WRITE_MODES = {
    **dict.fromkeys(("append", "appending", "appended"), "append"),
    **dict.fromkeys(("merge", "merging", "merged", "upsert", "upserting"), "merge"),
    **dict.fromkeys(("replace", "replacing", "overwrite", "overwriting"), "replace"),
}
SYNC_MODES = {
    **dict.fromkeys(("incremental", "incrementally"), "incremental"),
    **dict.fromkeys(("full", "completely"), "full_refresh"),
}
# Words after the name in a question such as "why is flights late?".
SYMPTOMS = _words(
    """
    late failing failed fail fails failure waiting wait empty slow stuck broken running run not red pending disabled
    does did do is was has been get got any no records rows data so yet today yesterday nothing started start finish
    finished finishing night morning week ago in queue this n't isn't doesn't didn't hasn't of the last to with going on there still always
    """
)
# Words after the name in a request such as "how is flights doing?".
AFTER_SHOWN_NAME = _words("? . run next doing going status details settings")
