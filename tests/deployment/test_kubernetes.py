"""The manifests in deploy/kubernetes are valid, and start the same programs as the compose file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.urls import resolve
from kubernetes_validate import utils as kubernetes_validate

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy/kubernetes"
RESOURCES: list[dict[str, Any]] = [
    resource
    for file in sorted(FOLDER.glob("*.yaml"))
    for resource in yaml.safe_load_all(file.read_text())
]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
KUBERNETES_VERSIONS = ("1.30", "1.37")  # the oldest and the newest that are checked


def name_of(resource: dict[str, Any]) -> str:
    return f"{resource['kind']} {resource['metadata']['name']}"


def pods() -> dict[str, dict[str, Any]]:
    """Return the specification of the pods of each component."""
    return {
        resource["metadata"]["name"].removeprefix("drover-"): resource["spec"]["template"]["spec"]
        for resource in RESOURCES
        if "template" in resource.get("spec", {})
    }


def containers() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, pod in pods().items():
        (container,) = pod["containers"]
        yield name, container


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
@pytest.mark.parametrize("resource", RESOURCES, ids=name_of)
def test_each_manifest_is_valid(resource: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(resource, version, strict=True)


@pytest.mark.parametrize("field", ["spec.template.spec.contaners", "spec.replicas"])
def test_an_invalid_manifest_is_refused(field: str) -> None:
    web = yaml.safe_load((FOLDER / "web.yaml").read_text().partition("\n---")[0])
    kubernetes_validate.validate(web, KUBERNETES_VERSIONS[-1], strict=True)
    *parents, last = field.split(".")
    target = web
    for parent in parents:
        target = target[parent]
    target[last] = "no list and no number"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(web, KUBERNETES_VERSIONS[-1], strict=True)


def test_there_are_the_components_of_the_compose_file_except_for_the_database() -> None:
    assert set(pods()) == set(COMPOSE["services"]) - {"db"}


def test_the_worker_has_the_command_and_the_capabilities_of_the_compose_file() -> None:
    container = dict(containers())["worker"]
    service = COMPOSE["services"]["worker"]
    assert container["command"] == service["command"]
    assert container["securityContext"]["capabilities"]["add"] == service["cap_add"]
    assert pods()["worker"]["securityContext"]["runAsUser"] == int(service["user"].split(":")[0])


def test_prepare_does_what_the_compose_file_does_except_for_making_keys() -> None:
    script = COMPOSE["services"]["prepare"]["command"][-1]
    expected = [line for line in script.splitlines() if line != "python -m local.prepare keys"]
    assert dict(containers())["prepare"]["command"][-1].splitlines() == expected


def test_each_container_has_only_the_rights_that_it_needs() -> None:
    for name, container in containers():
        rights = container["securityContext"]
        assert rights["allowPrivilegeEscalation"] is False
        assert rights["capabilities"]["drop"] == ["ALL"]
        assert ("add" in rights["capabilities"]) == (name == "worker")
        assert pods()[name]["automountServiceAccountToken"] is False


def test_only_prepare_has_the_administrators_password() -> None:
    secret = {"secretRef": {"name": "drover-database-administrator"}}
    assert [name for name, container in containers() if secret in container["envFrom"]] == [
        "prepare"
    ]
    assert dict(containers())["prepare"]["envFrom"][-1] == secret


def test_all_containers_run_this_version() -> None:
    assert {container["image"].rpartition(":")[2] for _, container in containers()} == {
        settings.VERSION
    }


def test_every_setting_is_known() -> None:
    known = {*COMPOSE["services"]["web"]["environment"], "SECRET_KEY"}
    known |= {"ENCRYPTION_KEYS", "API_KEY_PEPPER"}
    for resource in RESOURCES:
        names = {*resource.get("data", {}), *resource.get("stringData", {})}
        assert names <= known, name_of(resource)


def test_the_probes_request_paths_that_exist() -> None:
    container = dict(containers())["web"]
    paths = {probe["httpGet"]["path"] for key, probe in container.items() if key.endswith("Probe")}
    for path in paths:
        assert resolve(path).view_name != "dashboard"
    assert paths


def test_selectors_match_the_pods() -> None:
    labels = [
        resource["spec"]["template"]["metadata"]["labels"]
        for resource in RESOURCES
        if "template" in resource.get("spec", {})
    ]
    for resource in RESOURCES:
        selector = resource.get("spec", {}).get("selector")
        if selector:
            assert selector.get("matchLabels", selector) in labels, name_of(resource)
