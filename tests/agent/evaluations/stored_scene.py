"""Run cases in copies of one stored scene. Creating the scene's rows takes a third of the time of most cases.

Each copy has other ids, so nothing that Drover remembers about an earlier copy is used again.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from uuid import UUID

from apps.auth.models import User
from apps.orgs import vault
from apps.orgs.models import Membership, Org
from apps.orgs.roles import Role
from apps.orgs.walls.scope import org_scope
from evaluations import running
from evaluations.case import Case
from evaluations.models import EvaluatedModel
from evaluations.running import Result
from evaluations.scene import Scene, open_scene
from tests import database
from tests.conftest import non_empty_tables
from tests.world import World

MAX_AGE = 30.0  # seconds, because rows have the time at which they were created
_SEQUENCES = """
SELECT format('%I.%I', schemaname, sequencename), last_value FROM pg_sequences
WHERE schemaname IN ('public', 'engine') AND last_value IS NOT NULL"""
_UUID = re.compile(rb"(?<![0-9a-f])([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-)([0-9a-f]{12})(?![0-9a-f])")
ChangeIds = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class StoredScene:
    """The rows of a scene, and its Python objects with the ids of these rows."""

    scene: Scene
    tables: dict[str, bytes]  # {table: its rows in PostgreSQL's text format}
    sequences: list[tuple[str, int]]
    stored_at: float

    @property
    def is_recent(self) -> bool:
        return time.monotonic() - self.stored_at < MAX_AGE

    def copy(self, servers: ExitStack) -> Scene:
        """Insert the rows with new ids into the empty database, and return their scene."""
        change_ids = _id_changer()
        admin = database.administrator()
        with admin.transaction():
            # Without foreign keys and triggers.
            admin.execute("SET LOCAL session_replication_role = replica")
            for table, rows in self.tables.items():
                with admin.cursor().copy(f"COPY {table} FROM STDIN") as copy:
                    copy.write(change_ids(rows))
            for name, last_value in self.sequences:
                admin.execute("SELECT setval(%s::regclass, %s)", [name, last_value])
        ids = {name: change_ids(value.encode()).decode() for name, value in self.scene.ids.items()}
        return Scene(
            _copy_world(self.scene.world, change_ids),
            _copy_world(self.scene.other_world, change_ids),
            servers,
            ids,
        )


_stored: list[StoredScene] = []  # the newest one


def run_case(case: Case, model: EvaluatedModel) -> Result:
    """Run the case in a copy of the stored scene, or in a new scene if the test has run another case before."""
    return running.run_case(case, model, open_scene=_open_scene)


def _open_scene(servers: ExitStack) -> Scene:
    if not _database_is_empty():
        return open_scene(servers)
    if _stored and _stored[0].is_recent:
        return _stored[0].copy(servers)
    scene = open_scene(servers)
    _stored[:] = [_store(scene)]
    return scene


def _database_is_empty() -> bool:
    return not non_empty_tables(database.administrator())


def _store(scene: Scene) -> StoredScene:
    admin = database.administrator()
    with admin.transaction():
        tables = {}
        for table in non_empty_tables(admin):
            with admin.cursor().copy(f"COPY {table} TO STDOUT") as copy:
                tables[table] = b"".join(bytes(part) for part in copy)
        sequences = admin.execute(_SEQUENCES).fetchall()
    objects = Scene(scene.world, scene.other_world, ExitStack(), dict(scene.ids))
    return StoredScene(objects, tables, sequences, time.monotonic())


def _id_changer() -> ChangeIds:
    """Return a function that replaces the random end of each UUID. Equal ids stay equal, and their order by time stays."""
    mask = secrets.randbits(48)

    def change(found: re.Match[bytes]) -> bytes:
        return found[1] + f"{int(found[2], 16) ^ mask:012x}".encode()

    return lambda text: _UUID.sub(change, text)


def _copy_world(world: World, change_ids: ChangeIds) -> World:
    org_id = UUID(change_ids(str(world.org.pk).encode()).decode())
    with org_scope(org_id):
        org = Org.objects.get(pk=org_id)
        org.data_key = vault.new_data_key(org_id)  # the stored one belongs to the id of another org
        org.save(update_fields=["data_key"])
        memberships = Membership.objects.for_org(org).select_related("user")
        users: dict[Role, User] = {Role(row.role): row.user for row in memberships}
    return World(org, users)
