"""Create an address at which a program starts a pipeline. Its secret is shown to nobody.

The user gets a secret on the page of the pipeline, by renewing it. So the agent and its language model never see one.
"""

from __future__ import annotations

from apps.agent.tools.base import Answer, Card, Effect, Level, Tool, ToolContext
from apps.agent.tools.create_hook.arguments import CreateHook
from apps.agent.tools.links import Link, pipeline_path
from apps.orgs.roles import Permission
from apps.pipelines.hooks import services
from apps.pipelines.visibility import find_pipeline

NEXT_STEP = 'Nobody has seen its secret. Choose "Renew secret" on the tab Schedule of the pipeline to get one.'
CREDENTIALS = {"token": "The secret in a header", "signature": "A signature made with the secret"}


def perform(context: ToolContext, arguments: CreateHook) -> Answer:
    hook, _ = services.create(
        org=context.org,
        by=context.by,
        pipeline_id=arguments.pipeline_id,
        name=arguments.name,
        credential=arguments.credential,
    )
    content = {
        "hook_id": str(hook.pk),
        "name": hook.name,
        "url": services.address(hook.pk),
        "credential": hook.credential,
        "next_step": NEXT_STEP,
    }
    summary = f"Created the hook {hook.name}. {NEXT_STEP}"
    link: Link = {"label": "Hooks", "path": f"{pipeline_path(arguments.pipeline_id)}/schedule"}
    return Answer(content, summary, links=(link,))


def show(context: ToolContext, arguments: CreateHook) -> Card:
    perform(context, arguments)
    pipeline = find_pipeline(org=context.org, by=context.by, pipeline_id=arguments.pipeline_id)
    facts = (
        ("Pipeline", pipeline.name),
        ("Name", arguments.name),
        ("A call is checked by", CREDENTIALS[arguments.credential]),
        ("Afterwards", NEXT_STEP),
    )
    return Card(f"Create a hook that starts {pipeline.name}", facts)


TOOL = Tool(
    name="create_hook",
    title="Create a hook",
    description=(
        "Create a hook: an address at which another program starts a pipeline. The user approves it first. You never see its"
        " secret: the user gets one on the page of the pipeline. The part hooks of show_pipeline lists the hooks."
    ),
    level=Level.BUILD,
    effect=Effect.DATABASE,
    permission=Permission.PIPELINES_EDIT,
    arguments=CreateHook,
    perform=perform,
    card=show,
)
