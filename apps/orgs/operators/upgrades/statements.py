"""Find SQL statements of migrations that harm the processes of the release before, which run during an upgrade.

A statement is harmful if it removes what the release before uses, refuses rows that it writes, or locks a table for as
long as a scan, a rewrite or an index takes. Tables that the same upgrade creates are unknown to the release before, so
everything is allowed for them.

Not judged: what data migrations write, and the content of functions and triggers. The long test
`tests/deployment/test_last_release.py` runs the release before with the new tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import sqlparse

NAME = r'"?(?P<name>[\w.]+)"?'

REMOVES = "the release before uses what it removes: remove it a release after the last use"
RENAMES = "the release before uses the old name: add the new one, copy, and remove the old one in a later release"
NEEDS_VALUE = "the release before inserts rows without this column: allow NULL, or give the column a db_default"
REFUSES = (
    "it reads the whole table under a lock, and may refuse rows that the release before writes"
)
REWRITES = "it rewrites the table, and nobody can use the table meanwhile"
BLOCKS = "nobody can write to the table until the index is complete: use AddIndexConcurrently"
HIDES = "the release before loses its access: grant the new access first, and revoke the old one a release later"
LOCKS = "it locks the table until the migration ends"

# Statements that are judged by their first words alone, except for the tables that the upgrade creates.
HARMFUL_STATEMENTS = (
    (rf"DROP TABLE (?:IF EXISTS )?{NAME}", REMOVES),
    (rf"DROP (?:MATERIALIZED )?VIEW (?:IF EXISTS )?{NAME}", REMOVES),
    (rf"DROP (?:FUNCTION|PROCEDURE|TYPE|SCHEMA|SEQUENCE) (?:IF EXISTS )?{NAME}", REMOVES),
    (rf"REVOKE .* ON (?:TABLE )?{NAME} FROM ", HIDES),
    (rf"CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY).* ON (?:ONLY )?{NAME}", BLOCKS),
    (rf"CREATE UNIQUE INDEX CONCURRENTLY .* ON (?:ONLY )?{NAME}", REFUSES),
    (rf"LOCK (?:TABLE )?(?:ONLY )?{NAME}", LOCKS),
    (rf"(?:CLUSTER|VACUUM FULL) (?:VERBOSE )?{NAME}", REWRITES),
    (rf"TRUNCATE (?:TABLE )?(?:ONLY )?{NAME}", REMOVES),
)
# Actions of ALTER TABLE on a table of the release before. ADD COLUMN and DROP DEFAULT are judged by `_judge_column`.
HARMFUL_ACTIONS = (
    (r"DROP (?:COLUMN )?(?!CONSTRAINT\b|IDENTITY\b|EXPRESSION\b|NOT\b|DEFAULT\b)", REMOVES),
    (r"RENAME (?!CONSTRAINT\b)", RENAMES),
    (r"SET SCHEMA ", RENAMES),
    (r"ALTER (?:COLUMN )?\S+ (?:SET DATA )?TYPE ", REWRITES),
    (r"ALTER (?:COLUMN )?\S+ SET NOT NULL", REFUSES),
    (r"ADD (?:CONSTRAINT \S+ )?(?:PRIMARY|UNIQUE|CHECK|EXCLUDE)\b", REFUSES),
    (r"(?:ENABLE|FORCE) ROW LEVEL SECURITY", HIDES),
    (r"SET (?:UNLOGGED|LOGGED|TABLESPACE|ACCESS METHOD)\b", REWRITES),
)
FOREIGN_KEY = r"ADD (?:CONSTRAINT \S+ )?FOREIGN KEY"
ADD_COLUMN = (
    rf"ADD (?:COLUMN )?(?:IF NOT EXISTS )?(?!CONSTRAINT\b|PRIMARY\b|UNIQUE\b|CHECK\b|EXCLUDE\b|FOREIGN\b){NAME}"
    r" (?P<type>.*)"
)
DROP_DEFAULT = rf"ALTER (?:COLUMN )?{NAME} DROP DEFAULT"
# A new value for each row. `now()` is the same in the whole transaction, so PostgreSQL stores it once.
COMPUTED_FOR_EACH_ROW = (
    r"\b(?:SMALL|BIG)?SERIAL\b|\bGENERATED\b"
    r"|\bDEFAULT \(?(?!NOW\(|CURRENT_TIMESTAMP|STATEMENT_TIMESTAMP\(|TRANSACTION_TIMESTAMP\()[\w.]+\("
)


@dataclass(frozen=True, slots=True)
class Harm:
    """A statement, or one action of an ALTER TABLE, and why it harms the release before."""

    statement: str
    reason: str


@dataclass(slots=True)
class Judge:
    """Judges the statements of one upgrade, in their order."""

    new_tables: set[str] = field(default_factory=set)
    new_nullable_columns: set[tuple[str, str]] = field(default_factory=set)

    def find_harms(self, sql: str) -> Iterator[Harm]:
        """Yield what harms the release before in the statements of `sql`. Comments are ignored."""
        for statement in sqlparse.split(sqlparse.format(sql, strip_comments=True)):
            yield from self._judge_statement(" ".join(statement.split()).rstrip("; "))

    def _judge_statement(self, statement: str) -> Iterator[Harm]:
        created = _match(rf"CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?{NAME}", statement)
        if created:
            self.new_tables.add(_bare(created["name"]))
        altered = _match(rf"ALTER TABLE (?:IF EXISTS )?(?:ONLY )?{NAME} (?P<actions>.*)", statement)
        if altered:
            table = _bare(altered["name"])
            for action in _split_actions(altered["actions"]):
                reason = None if table in self.new_tables else self._judge_action(table, action)
                if reason:
                    yield Harm(f"ALTER TABLE {table} {action}", reason)
            return
        for pattern, reason in HARMFUL_STATEMENTS:
            found = _match(pattern, statement)
            if found and _bare(found["name"]) not in self.new_tables:
                yield Harm(statement, reason)
                return

    def _judge_action(self, table: str, action: str) -> str | None:
        for pattern, reason in HARMFUL_ACTIONS:
            if _match(pattern, action):
                return reason
        if _match(FOREIGN_KEY, action):
            # Rows of the release before have NULL in a new column, which no foreign key refuses.
            names = re.findall(r"\w+", action.partition("(")[2].partition(")")[0])
            has_new_column = any((table, name) in self.new_nullable_columns for name in names)
            is_unchecked = re.search(r"\bNOT VALID\b", action, re.IGNORECASE)
            return None if has_new_column and is_unchecked else REFUSES
        return self._judge_column(table, action)

    def _judge_column(self, table: str, action: str) -> str | None:
        if dropped := _match(DROP_DEFAULT, action):
            is_nullable = (table, dropped["name"]) in self.new_nullable_columns
            return None if is_nullable else NEEDS_VALUE
        added = _match(ADD_COLUMN, action)
        if not added:
            return None
        if re.search(COMPUTED_FOR_EACH_ROW, added["type"], re.IGNORECASE):
            return REWRITES
        if not re.search(r"\bNOT NULL\b", added["type"], re.IGNORECASE):
            self.new_nullable_columns.add((table, added["name"]))
            return None
        has_default = re.search(r"\bDEFAULT\b", added["type"], re.IGNORECASE)
        return None if has_default else NEEDS_VALUE


def _match(pattern: str, statement: str) -> re.Match[str] | None:
    return re.match(pattern, statement, re.IGNORECASE)


def _bare(name: str) -> str:
    return name.lower().removeprefix("public.")


def _split_actions(text: str) -> Iterator[str]:
    """Split the actions of an ALTER TABLE at the commas that are outside of parentheses and quotes."""
    depth, quote, start = 0, "", 0
    for position, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "()":
            depth += 1 if character == "(" else -1
        elif character == "," and not depth:
            yield text[start:position].strip()
            start = position + 1
    yield text[start:].strip()
