"""The manifests of Kubernetes: valid by its schemas, and in step with the code that they start."""

import re
from typing import Any

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from deploy.cli import cli
from models.settings import Settings
from streams.batching.stores.database import MIB, Memory
from tests.deploy.compose import ROOT, services, settings_of

FILE = ROOT / "deploy/containers/kubernetes/worker.yml"
SCHEMAS = "1.37"
#: Of a worker without states: its code, what Kafka's clients have fetched, a batch in work.
PROCESS_BYTES = 512 * MIB

Manifest = dict[str, Any]


def manifests() -> dict[str, Manifest]:
    found = [each for each in YAML(typ="safe").load_all(FILE.read_text()) if each]
    return {each["kind"]: each for each in found}


def stateful_set() -> Manifest:
    spec: Manifest = manifests()["StatefulSet"]["spec"]
    return spec


def container() -> Manifest:
    (found,) = stateful_set()["template"]["spec"]["containers"]
    result: Manifest = found
    return result


def settings() -> Settings:
    """As in the pod: variables of the ConfigMap, then those of the container."""
    environ = dict(manifests()["ConfigMap"]["data"])
    for variable in container()["env"]:
        environ[variable["name"]] = variable.get("value", "from-a-secret-0123456789")
    return Settings.read(environ)


def bytes_of(quantity: str) -> int:
    """Of a quantity of Kubernetes (1536Mi) or Compose (1536m)."""
    found = re.fullmatch(r"(\d+)(Mi|m)", quantity)
    assert found, quantity
    return int(found[1]) * MIB


@pytest.mark.parametrize("kind", ["ConfigMap", "Service", "PodDisruptionBudget", "StatefulSet"])
def test_each_manifest_is_valid_by_its_schema(kind: str) -> None:
    kubernetes_validate.validate(manifests()[kind], SCHEMAS, strict=True)


def test_the_schema_check_can_fail() -> None:
    broken = manifests()["StatefulSet"]
    broken["spec"]["volumeClaimTemplate"] = broken["spec"].pop("volumeClaimTemplates")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, SCHEMAS, strict=True)


def test_it_starts_a_worker_with_valid_settings() -> None:
    program, command = container()["command"]
    assert (program, command) == ("receipts", "worker")
    assert command in cli.commands
    assert settings().state_dir


def test_the_image_is_that_of_compose() -> None:
    assert container()["image"] == services()["worker"]["image"]


def test_states_are_on_a_volume_of_the_pod() -> None:
    mounts = {each["name"]: each["mountPath"] for each in container()["volumeMounts"]}
    (claim,) = stateful_set()["volumeClaimTemplates"]
    assert mounts[claim["metadata"]["name"]] == settings().state_dir
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    pod = stateful_set()["template"]["spec"]["securityContext"]
    assert pod["fsGroup"] == pod["runAsGroup"]


def test_pods_are_found_by_their_labels() -> None:
    labels = stateful_set()["template"]["metadata"]["labels"]
    assert stateful_set()["selector"]["matchLabels"] == labels
    assert manifests()["Service"]["spec"]["selector"] == labels
    assert manifests()["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert stateful_set()["serviceName"] == manifests()["Service"]["metadata"]["name"]


def test_probes_and_scrapes_ask_the_port_that_is_served() -> None:
    (port,) = container()["ports"]
    assert port["containerPort"] == settings().worker_port
    assert settings().worker_host == "0.0.0.0"
    assert container()["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": port["name"]}
    assert container()["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": port["name"]}
    (served,) = manifests()["Service"]["spec"]["ports"]
    assert served["port"] == settings().worker_port


def test_a_probe_gives_a_worker_up_later_than_kafka_does() -> None:
    """Else a pause that the group forgives would kill the worker."""
    probe = container()["livenessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] > settings().session_timeout_s


def test_memory_holds_the_cache_the_database_and_the_process() -> None:
    memory = Memory()
    in_kubernetes = container()["resources"]
    assert in_kubernetes["requests"]["memory"] == in_kubernetes["limits"]["memory"]
    for limit, given in (
        (in_kubernetes["limits"]["memory"], settings()),
        (services()["worker"]["mem_limit"], Settings.read(settings_of("worker"))),
    ):
        needed = (given.state_cache_mb << 20) + memory.blocks_limit + memory.unflushed_limit
        assert bytes_of(limit) >= needed + PROCESS_BYTES


def test_compose_keeps_states_on_a_volume_of_the_user_of_the_image() -> None:
    folder = Settings.read(settings_of("worker")).state_dir
    assert f"worker-states:{folder}" in services()["worker"]["volumes"]
    image = (ROOT / "deploy/containers/Dockerfile").read_text()
    assert f"install --directory --owner receipts {folder}" in image
