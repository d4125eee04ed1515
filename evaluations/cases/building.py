"""Make sources from the documents of local APIs. The rows that a saved source reads are compared with those of the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from apps.agent.sources import answering, documents, generation
from apps.connectors.models import CustomSource
from evaluations.case import Case, Group
from evaluations.cases.scripted import call, say
from evaluations.outcome import Outcome
from evaluations.pages import Page, add_site
from evaluations.scene import Scene
from tests.agent.conversing import Talk
from tests.agent.sources.local_api import LocalApi, all_apis, serve, special_apis
from tests.agent.sources.local_documents import document_of

NAME = "Shop of the test"  # the title of the documents
STEPS = ("fetch_documentation", "propose_source_plan", "preview_source", "save_source_version")


def enter_settings(
    config: Mapping[str, str], scene: Scene, talk: Talk, request: Any
) -> Mapping[str, Any] | None:
    """Enter the credentials in the form of a preview, as the browser does. The case decides about the request."""
    form = request["card"]["form"]
    if form is not None and not form["filled"]:
        body = {"config": dict(config), "hosts": form["hosts"]}
        response = talk.client.put(f"/api/v1{form['path']}", body, format="json")
        if response.status_code != 204:
            raise AssertionError(f"the settings were refused: {response.json()}")
    return None


def add_document(scene: Scene, document: str) -> None:
    """Serve the document, and store the plan and the code that Drover makes from it for the script."""
    site = add_site(scene, {"/openapi.json": Page(document, "application/json")})
    proposed = documents.propose_plan(document, document_url=f"{site.url}/openapi.json")
    if proposed is None:
        raise AssertionError("no plan was made from the document")
    scene.values["plan"] = answering.plan_as_json(proposed.plan)
    scene.ids["code"] = generation.generate(proposed.plan)


def read_rows(outcome: Outcome, config: Mapping[str, str]) -> Any:
    """Return the rows that the saved source reads in the sandbox, or the failure."""
    world = outcome.scene.world
    with world.scope():
        source = CustomSource.objects.for_org(world.org).get(name=NAME)
    body = {"id": str(source.pk), "stream": "orders", "config": dict(config), "max_records": 50}
    response = world.client().post("/api/v1/custom-sources/preview", body, format="json")
    answer = response.json()
    return answer.get("failure") or answer.get("records", answer)


def _add_api(api: LocalApi, scene: Scene) -> None:
    add_document(scene, document_of(api, scene.enter(serve(api))))


def _compare_rows(api: LocalApi, outcome: Outcome) -> Sequence[str]:
    if NAME not in outcome.after.custom_sources:
        return ()  # is a problem already
    rows = read_rows(outcome, api.config)
    return () if rows == api.read_rows else [f"the source reads {str(rows)[:300]}"]


def _case(api: LocalApi) -> Case:
    return Case(
        name=f"source-{api.label}",
        group=Group.SOURCE,
        messages=["make a source from [[site]]/openapi.json"],
        prepare=partial(_add_api, api),
        decide=partial(enter_settings, api.config),
        approves=STEPS,
        calls=[(tool, {}) for tool in STEPS],
        new_sources=[NAME],
        check=partial(_compare_rows, api),
        says=["saved"],
        never_says=list(api.config.values()),
        script=[
            call("start_source_builder"),
            call("fetch_documentation", url="[[site]]/openapi.json"),
            call("propose_source_plan", plan="[[plan]]"),
            call("preview_source", code="[[code]]", stream="orders", max_records=50),
            call("save_source_version", code="[[code]]", name=NAME),
            say("The source is saved."),
        ],
    )


CASES = tuple(_case(api) for api in (*all_apis(), *special_apis()))
