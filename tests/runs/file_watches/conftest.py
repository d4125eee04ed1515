"""Pipelines that read files, and looks for these files."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.utils import timezone

from apps.connectors import engine, storage
from apps.engine import connect
from apps.engine.answers import FilesAnswer
from apps.engine.contract import SourceSpec
from apps.orgs.roles import Role
from apps.pipelines.models import FileWatch, Pipeline
from apps.runs.file_watches import looking
from apps.runs.models import Run
from tests.runs.conftest import make_pipeline
from tests.world import World


@dataclass(frozen=True)
class Watched:
    """A pipeline that reads files of its org, and is watched."""

    world: World
    pipeline: Pipeline

    @property
    def path(self) -> str:
        return f"/api/v1/pipelines/{self.pipeline.pk}/file-watch"

    @property
    def folder(self) -> Path:
        root = settings.STORAGE_OPTIONS["local"]["location"]
        folder = Path(root, storage.files_root(self.world.org.pk).prefix)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def put(self, **fields: Any) -> dict[str, Any]:
        answer = self.world.client(Role.MEMBER).put(self.path, {"enabled": True, **fields})
        assert answer.status_code == 200, answer.content
        shown: dict[str, Any] = answer.json()
        return shown

    def show(self) -> dict[str, Any]:
        answer = self.world.client(Role.VIEWER).get(self.path)
        assert answer.status_code == 200, answer.content
        shown: dict[str, Any] = answer.json()
        return shown

    def make_due(self) -> None:
        with self.world.scope():
            rows = FileWatch.objects.for_org(self.world.org).filter(pipeline=self.pipeline)
            rows.update(next_look_at=timezone.now() - timedelta(seconds=1))

    def look(self) -> bool:
        """Look as if the next look were due."""
        self.make_due()
        return looking.look(org_id=self.world.org.pk, pipeline_id=self.pipeline.pk)

    def runs(self) -> list[Run]:
        with self.world.scope():
            return list(Run.objects.for_org(self.world.org).filter(pipeline=self.pipeline))

    def end_runs(self) -> None:
        with self.world.scope():
            rows = Run.objects.for_org(self.world.org).filter(status="pending")
            rows.update(status="cancelled", finished_at=timezone.now())
            Pipeline.objects.for_org(self.world.org).update(last_run_status="cancelled")


def watch(
    world: World, path: str = "*.csv", source: dict[str, Any] | None = None, **fields: Any
) -> Watched:
    """Create a pipeline that reads these files, and let it start when new ones arrive."""
    pipeline = make_pipeline(
        world, source_kind="files", source={"path": path, **(source or {})}, stream="files"
    )
    watched = Watched(world, pipeline)
    watched.put(**fields)
    return watched


@pytest.fixture
def watched(world: World) -> Watched:
    return watch(world)


@pytest.fixture
def listing_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """List files as the child process does, in this process, for tests with many looks."""

    def list_files(*, org_id: UUID, source: SourceSpec) -> FilesAnswer:
        files = asdict(storage.files_root(org_id))
        answer = connect.list_files({"role": "source", **asdict(source), "files": files})
        return FilesAnswer(streams=answer["streams"])

    monkeypatch.setattr(engine, "list_files", list_files)
