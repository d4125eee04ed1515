"""The characters that names may have. A name cannot inject text into a mail, a log or an export."""

from __future__ import annotations

import csv
import io
import json
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.core import mail as django_mail
from django.db import IntegrityError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from apps.auth import accounts, names
from apps.auth.mailing import mail
from apps.auth.models import User
from apps.auth.name_cleaning import clean, clean_json, clean_lists, clean_texts
from apps.orgs.models import Domain, Org
from apps.orgs.roles import Role
from apps.orgs.walls.scope import org_scope
from apps.pipelines.models import Pipeline
from config import logs
from tests import database
from tests.mailbox import deliver
from tests.world import World, make_pipeline

VALID_NAMES = {
    "Zażółć gęślą": "Zażółć gęślą",
    "  two   words\u00a0here ": "two words here",
    "Cafe\u0301": "Café",
    "👩\u200d💻 team": "👩\u200d💻 team",
    "❤\ufe0f\u200d🔥": "❤\ufe0f\u200d🔥",
    "\u0645\u06cc\u200c\u062e\u0648": "\u0645\u06cc\u200c\u062e\u0648",
    "ක්\u200dෂ": "ක්\u200dෂ",
    "אָ֑ב": "אָ֑ב",
    "=1+1": "=1+1",
}
INVALID_NAMES = {
    "a new line": "Acme\nYour account is closed, see https://evil.example",
    "a carriage return": "a\rb",
    "a tabulator": "a\tb",
    "an escape sequence": "\x1b[2Jcleared",
    "a C1 control": "a\x9b31m",
    "delete": "a\x7f",
    "next line": "a\x85b",
    "a line separator": "a\u2028b",
    "a paragraph separator": "a\u2029b",
    "right-to-left override": "fdp.\u202eexe",
    "an isolate": "\u2066a\u2069",
    "an Arabic letter mark": "a\u061cb",
    "zero width space": "ad\u200bmin",
    "a joiner in Latin": "ad\u200dmin",
    "two joiners": "م\u200c\u200cم",
    "a joiner at the end": "admin\u200d",
    "soft hyphen": "ad\u00admin",
    "word joiner": "ad\u2060min",
    "byte order mark": "\ufeffname",
    "a Hangul filler": "a\u3164",
    "an interlinear anchor": "a\ufff9b",
    "a tag": "a\U000e0041",
    "private use": "a\ue000",
    "a noncharacter": "a\uffff",
    "a lone surrogate": "a\ud800",
    "many combining marks": "Z" + "\u0335\u0321\u0323" * 5,
}
INVISIBLE_NAMES = ["", "   ", "\u00a0\u3000", "\ufe0f", "\u0301"]


@pytest.mark.parametrize("text", VALID_NAMES)
def test_a_name_in_any_script_is_normalised_and_trimmed(text: str) -> None:
    assert names.parse_name(text) == VALID_NAMES[text]
    assert names.clean_name(text, max_length=120) == VALID_NAMES[text]


@pytest.mark.parametrize("text", INVALID_NAMES.values(), ids=INVALID_NAMES)
def test_invalid_characters_are_rejected_and_can_be_removed(text: str) -> None:
    with pytest.raises(names.InvalidName):
        names.parse_name(text)
    cleaned = names.clean_name(text, max_length=120)
    assert names.parse_name(cleaned) == cleaned


@pytest.mark.parametrize("text", INVISIBLE_NAMES)
def test_a_name_without_visible_characters_is_read_as_empty(text: str) -> None:
    assert names.parse_name(text) == ""
    assert names.clean_name(text, max_length=120) == ""


@given(
    st.text(st.characters(), max_size=60)
    | st.text("a\u200d\u200cم\u094d\u0301 \n\u202e👩", max_size=60)
)
def test_a_cleaned_name_is_valid_and_cleaning_it_again_changes_nothing(text: str) -> None:
    cleaned = names.clean_name(text, max_length=40)
    assert len(cleaned) <= 40
    assert names.parse_name(cleaned) == cleaned
    assert names.clean_name(cleaned, max_length=40) == cleaned


def requests_with_name(world: World, name: str) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Return requests that set the name of an object, as {object: (field of the name, route, body)}."""
    return {
        "org": ("name", "PATCH /org", {"name": name}),
        "domain": ("name", "POST /org/domains", {"name": name}),
        "user": ("name", "PATCH /auth/me", {"name": name}),
        "second org": ("name", "POST /organizations", {"name": name}),
        "key": ("name", "POST /org/api-keys", {"name": name, "role": "viewer"}),
        "service account": ("name", "POST /org/service-accounts", {"name": name, "role": "viewer"}),
        "connector": (
            "name",
            "POST /connectors",
            {"name": name, "role": "destination", "kind": "duckdb", "config": {}},
        ),
        "pipeline": ("name", "POST /pipelines", {"name": name, "config": {}}),
        "tag": ("tags", "POST /pipelines", {"name": "x", "config": {}, "tags": [name]}),
        "custom source": ("name", "POST /custom-sources", {"name": name, "code": "x"}),
        "note of a custom source": (
            "note",
            "POST /custom-sources",
            {"name": "x", "code": "x", "note": name},
        ),
        "an upload": (
            "filename",
            "POST /custom-sources/upload",
            {"filename": f"{name}.py", "content": ""},
        ),
    }


NAMED_OBJECTS = (
    *("org", "domain", "user", "second org", "key", "service account", "connector", "pipeline"),
    *("tag", "custom source", "note of a custom source", "an upload"),
)


@pytest.mark.parametrize("named_object", NAMED_OBJECTS)
def test_every_name_field_rejects_line_breaks_and_bidirectional_controls(
    world: World, named_object: str
) -> None:
    for text in ("two\nlines", "fdp.\u202eexe"):
        field, route, body = requests_with_name(world, text)[named_object]
        method, _, path = route.partition(" ")
        answer = world.client(Role.OWNER).generic(
            method, f"/api/v1{path}", json.dumps(body), content_type="application/json"
        )
        assert answer.status_code == 422, answer.content
        codes = {error["field"]: error["code"] for error in answer.json()["errors"]}
        assert codes[field] == "characters"


def test_a_description_may_have_lines_but_no_control_characters(world: World) -> None:
    def rejected_fields(description: str) -> set[str]:
        body = {"name": "x", "role": "destination", "kind": "duckdb", "config": {}}
        answer = world.client(Role.OWNER).post(
            "/api/v1/connectors", {**body, "description": description}
        )
        return {error["field"] for error in answer.json().get("errors", [])}

    assert "description" not in rejected_fields("a\r\n\tb")
    assert "description" in rejected_fields("a \u202e")


def test_an_org_cannot_be_renamed_to_an_invisible_name(world: World) -> None:
    answer = world.client(Role.OWNER).patch("/api/v1/org", {"name": "\u200b"})
    assert answer.status_code == 422


def test_the_length_counts_characters_after_normalising(world: World) -> None:
    client = world.client(Role.OWNER)
    assert client.patch("/api/v1/org", {"name": "e\u0301" * 120}).status_code == 200
    assert client.patch("/api/v1/org", {"name": "e" * 121}).status_code == 422
    assert client.patch("/api/v1/org", {"name": "e" * 1_000_000}).status_code == 422


def test_a_mail_starts_with_fixed_text_and_quotes_the_name_of_the_org(
    world: World, django_capture_on_commit_callbacks: Any
) -> None:
    name = 'Bank" see https://evil.example or write to pay@evil.example, www.evil.example'
    assert world.client(Role.OWNER).patch("/api/v1/org", {"name": name}).status_code == 200
    world.client(Role.OWNER).post(
        "/api/v1/org/invitations", {"email": "new@example.com", "role": "viewer"}
    )
    deliver()
    message = django_mail.outbox[-1]
    assert "\n" not in message.subject
    assert str(message.body).startswith("Hello,\n\nyou are invited to join an organization at ")
    assert "evil.example" not in str(message.body) + message.subject
    assert "https://evil" not in str(message.body)
    assert "“Bank' see https[://]evil[.]example" in str(message.body)


def test_mails_to_an_unverified_address_do_not_contain_the_name_of_the_account(db: None) -> None:
    user = User.objects.create_user(
        email="victim@example.com", password=None, name="Closed! See evil.example"
    )
    accounts.request_verification(user)
    accounts.request_password_reset(user.email, None)
    deliver()
    assert len(django_mail.outbox) == 2
    for message in django_mail.outbox:
        assert "evil" not in str(message.body) + message.subject


def test_a_quoted_name_is_in_quotation_marks_and_contains_no_link() -> None:
    assert mail.quote_name("Acme") == "“Acme”"
    assert mail.quote_name("Dr. Who & Sons, Inc.") == "“Dr. Who & Sons, Inc.”"
    assert mail.quote_name("a\r\nBcc: x@y.example") == "“a Bcc: x[@]y[.]example”"
    assert mail.quote_name("“nested”") == "“'nested'”"
    assert len(mail.quote_name("x" * 500)) == mail.MAX_NAME_LENGTH + 2


@pytest.mark.parametrize("address", ['"a b"@example.com', '"\x01"@example.com', "<a@example.com"])
def test_an_address_with_quotes_spaces_or_control_characters_is_rejected(
    world: World, address: str
) -> None:
    answer = world.client(Role.OWNER).post(
        "/api/v1/org/invitations", {"email": address, "role": "viewer"}
    )
    assert answer.status_code == 422
    assert not names.is_plain_address(address)


def test_a_log_line_contains_only_printable_characters() -> None:
    text = "a\n\x1b[2J\x9b31m\u202e\u2028"
    line = logs._dumps({"event": text})
    assert line.isprintable()
    assert json.loads(line) == {"event": text}


def test_the_database_rejects_names_that_a_serializer_would_miss(world: World) -> None:
    pipeline = make_pipeline(world)
    with org_scope(world.org.pk):
        rows = Pipeline.objects.for_org(world.org).filter(pk=pipeline.pk)
        for text in ("two\nlines", "\u202e", "\x9b", "\u2028", "\ufeff", "\U000e0041"):
            with pytest.raises(IntegrityError, match="plain"), transaction.atomic():
                Org.objects.filter(pk=world.org.pk).update(name=text)
            with pytest.raises(IntegrityError, match="plain"), transaction.atomic():
                Domain.unscoped.create(org=world.org, name=text)
            with pytest.raises(IntegrityError, match="tags_plain"), transaction.atomic():
                rows.update(tags=["fine", text])
            with pytest.raises(IntegrityError, match="text_plain"), transaction.atomic():
                rows.update(description=f"{text}\x1b")
        rows.update(tags=["a", "b c"], description="two\n\tlines")
        valid_name = "\u0645\u06cc\u200c\u062e 👩\u200d💻"
        assert Org.objects.filter(pk=world.org.pk).update(name=valid_name) == 1


def test_no_cell_of_an_exported_audit_log_is_a_formula(world: World) -> None:
    client = world.client(Role.OWNER)
    for first_character in "=+-@\uff1d":
        assert (
            client.post("/api/v1/org/domains", {"name": f"{first_character}cmd"}).status_code == 201
        )
    answer: Any = client.get("/api/v1/org/audit/export")
    text = b"".join(answer.streaming_content).decode()
    labels = [row["object_label"] for row in csv.DictReader(io.StringIO(text))]
    assert {f"'{first_character}cmd" for first_character in "=+-@\uff1d"} <= set(labels)


def test_a_migration_cleans_stored_names(committed_db: None) -> None:
    rows = [  # (stored name, cleaned name); an empty or used name gets a part of the id
        ("a\n\u202eb", "a b 00000000"),
        ("a b", "a b"),
        ("\u200b", "00000002"),
        ("a\u200d", "a\u200d"),
    ]
    with psycopg.connect(
        database.url_of(database.process_database_name()), autocommit=True
    ) as admin:
        admin.execute("CREATE TABLE old_names (id uuid, name text UNIQUE)")
        admin.execute("GRANT ALL ON old_names TO app_user")
        try:
            with connection.cursor() as cursor:
                for number, (name, _) in enumerate(rows):
                    cursor.execute(
                        "INSERT INTO old_names VALUES (%s, %s)", [UUID(int=number), name]
                    )
                operation: Any = clean("old_names", name=20)
                operation.code(None, SimpleNamespace(connection=connection))
                cursor.execute("SELECT name FROM old_names ORDER BY id")
                assert [name for (name,) in cursor.fetchall()] == [name for _, name in rows]
        finally:
            admin.execute("DROP TABLE old_names")


def test_a_table_can_be_altered_in_the_transaction_that_cleaned_it_twice(
    committed_db: None,
) -> None:
    """A table cannot be altered while deferred checks of its rows are pending, so the cleaning must run them."""
    with psycopg.connect(
        database.url_of(database.process_database_name()), autocommit=True
    ) as admin:
        admin.execute(
            "CREATE TABLE old_notes (id uuid PRIMARY KEY, parent uuid, name text, note text)"
        )
        admin.execute(
            "ALTER TABLE old_notes OWNER TO app_user, ADD FOREIGN KEY (parent) REFERENCES old_notes"
            " DEFERRABLE INITIALLY DEFERRED"
        )
        try:
            admin.execute(
                "INSERT INTO old_notes VALUES (%s, %s, %s, %s)",
                [UUID(int=1), UUID(int=1), "a\u202e", "b\x1b"],
            )
            operations: list[Any] = [
                clean("old_notes", name=20),
                clean_texts("old_notes", "note", longest=20),
            ]
            with transaction.atomic(), connection.cursor() as cursor:
                for operation in operations:
                    operation.code(None, SimpleNamespace(connection=connection))
                cursor.execute("ALTER TABLE old_notes ADD CHECK (name <> '')")
                cursor.execute("SELECT name, note FROM old_notes")
                assert cursor.fetchall() == [("a", "b")]
        finally:
            admin.execute("DROP TABLE old_notes")


def test_a_migration_cleans_claims_from_directories(committed_db: None) -> None:
    valid_claims = {"a": 1, "title": "two  spaces", "addresses": [{"formatted": "1 Main St\nTown"}]}
    invalid_claims = {
        "title": "\u202eCountess\x1b",
        "emails": [{"display": "a\x7f\x08b"}],
        "n": None,
    }
    with psycopg.connect(
        database.url_of(database.process_database_name()), autocommit=True
    ) as admin:
        admin.execute("CREATE TABLE old_claims (id int, claims jsonb)")
        admin.execute("GRANT ALL ON old_claims TO app_user")
        try:
            admin.execute(
                "INSERT INTO old_claims VALUES (1, %s), (2, %s), (3, %s)",
                [Jsonb(valid_claims), Jsonb(invalid_claims), Jsonb({"title": "\x1b"})],
            )
            operation: Any = clean_json("old_claims", "claims")
            operation.code(None, SimpleNamespace(connection=connection))
            rows = admin.execute("SELECT claims FROM old_claims ORDER BY id").fetchall()
        finally:
            admin.execute("DROP TABLE old_claims")
    cleaned_claims = {"title": "Countess", "emails": [{"display": "a b"}], "n": None}
    assert [claims for (claims,) in rows] == [valid_claims, cleaned_claims, {"title": ""}]


def test_a_migration_cleans_tags_and_descriptions(committed_db: None) -> None:
    with psycopg.connect(
        database.url_of(database.process_database_name()), autocommit=True
    ) as admin:
        admin.execute("CREATE TABLE old_texts (id int, tags varchar(50)[], description text)")
        admin.execute("GRANT ALL ON old_texts TO app_user")
        try:
            admin.execute(
                "INSERT INTO old_texts VALUES (1, %s, %s), (2, %s, %s)",
                [
                    ["a\u200bb", "ab", "\u202e", "c\nd"],
                    "\u202eone\x07\r\n\ttwo\n\nthree",
                    *(["kept"], "one\n  two"),
                ],
            )
            operations: list[Any] = [
                clean_lists("old_texts", "tags", longest=50),
                clean_texts("old_texts", "description", longest=1000),
            ]
            for operation in operations:
                operation.code(None, SimpleNamespace(connection=connection))
            assert admin.execute(
                "SELECT tags, description FROM old_texts ORDER BY id"
            ).fetchall() == [
                (["ab", "c d"], "one\n\ttwo\n\nthree"),
                (["kept"], "one\n  two"),
            ]
        finally:
            admin.execute("DROP TABLE old_texts")
