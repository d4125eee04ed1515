"""Save the code of a source as an approved version. The user sees the difference and the hosts first."""

from __future__ import annotations

from apps.agent.models import Graph
from apps.agent.tools.base import Answer, Card, Effect, Level, Tool, ToolContext
from apps.agent.tools.links import source_link
from apps.agent.tools.save_source_version.arguments import SaveSourceVersion
from apps.auth import names
from apps.connectors.custom_sources import diffs, edits, services
from apps.connectors.models import CustomSource, CustomSourceVersion
from apps.egress.allowlist import ANY_HOST
from apps.orgs.exceptions import Invalid
from apps.orgs.roles import Permission

ANY_HOST_WARNING = "The code may connect to any host."
PIPELINES_WARNING = "Pipelines that name no version run the new version from now on."


def perform(context: ToolContext, arguments: SaveSourceVersion) -> Answer:
    source = _save(context, arguments)
    content = {
        "id": str(source.pk),
        "kind": source.kind,
        "name": source.name,
        "version": source.latest,
    }
    return Answer(
        content,
        f"Saved version {source.latest} of {source.name}. It is approved.",
        links=(source_link(source),),
    )


def show(context: ToolContext, arguments: SaveSourceVersion) -> Card:
    before = _latest_version(context, arguments)
    source = _save(context, arguments)
    after = edits.find_version(context.org, source, source.latest)
    old_hosts = before.report["hosts"] if before else []
    hosts = after.report["hosts"]
    added = [host for host in hosts if host not in old_hosts]
    facts = (
        ("Source", source.name),
        ("Version", str(source.latest)),
        ("Hosts", ", ".join(hosts) or "none"),
        ("New hosts", ", ".join(added) or "none"),
        ("Streams", ", ".join(stream["name"] for stream in after.report["streams"])),
    )
    change = {
        "field": "code",
        "before": before.code if before else None,
        "after": after.code,
        "diff": diffs.unified_diff(before, after),
    }
    return Card(
        f"Save and approve version {source.latest} of {source.name}",
        facts,
        changes=(change,),
        warnings=_warnings(before, after),
    )


def _warnings(before: CustomSourceVersion | None, after: CustomSourceVersion) -> tuple[str, ...]:
    found = [warning["message"] for warning in after.report["warnings"]]
    found += [ANY_HOST_WARNING] if ANY_HOST in after.report["hosts"] else []
    found += [PIPELINES_WARNING] if before is not None else []
    return tuple(found)


def _save(context: ToolContext, arguments: SaveSourceVersion) -> CustomSource:
    note = names.clean_name(arguments.note, max_length=200)
    if arguments.custom_source_id is not None:
        return services.update(
            org=context.org,
            by=context.by,
            source_id=arguments.custom_source_id,
            changes={"code": arguments.code, "note": note},
            approve=True,
            checked=context.checked,
        )
    name = names.clean_name(arguments.name, max_length=120)
    if not name:
        raise Invalid([("name", "A new source needs a name.", "required")])
    return services.create(
        org=context.org,
        by=context.by,
        name=name,
        code=arguments.code,
        note=note,
        approve=True,
        checked=context.checked,
    )


def _latest_version(
    context: ToolContext, arguments: SaveSourceVersion
) -> CustomSourceVersion | None:
    if arguments.custom_source_id is None:
        return None
    source = services.find_source(
        org=context.org, by=context.by, source_id=arguments.custom_source_id
    )
    return edits.find_version(context.org, source, source.latest)


TOOL = Tool(
    name="save_source_version",
    title="Save a source",
    description=(
        "Save the code as a new source, or as a new version of a source. The user sees the difference and the hosts that"
        " the code may reach, and approves both. Preview the code before."
    ),
    level=Level.BUILD,
    effect=Effect.DATABASE,
    permission=Permission.CUSTOM_SOURCES_EDIT,
    arguments=SaveSourceVersion,
    perform=perform,
    card=show,
    graphs=frozenset({Graph.SOURCE_BUILDER}),
)
