"""The pipelines that read uploaded files with settings of their own, without a saved connector."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import F

from apps.connectors.files import users
from apps.connectors.files.users import FileReader
from apps.orgs.models import Org
from apps.pipelines.models import PipelineVersion


@users.add_finder
def find_pipelines(org: Org) -> Iterable[FileReader]:
    rows = PipelineVersion.objects.for_org(org).filter(
        number=F("pipeline__version"),
        pipeline__source_kind=users.KIND,
        pipeline__source_connector=None,
    )
    columns = rows.values_list("pipeline_id", "pipeline__name", "definition__source__config__path")
    for pk, name, path in columns:
        yield FileReader("pipeline", pk, name, str(path or ""))
