"""The stack that deploy/observability starts: files that exist, exact versions, and ports on which all agree."""

from __future__ import annotations

import re
from typing import Any

import yaml

from tools.observability.dashboards.boards import made
from tools.observability.files import OBSERVABILITY

LOOPBACK = re.compile(r"127\.0\.0\.1:(\d+)")
PRIVATE = "${"
"""How a mount begins that whoever starts the stack chooses."""


def read(name: str) -> Any:
    return yaml.safe_load((OBSERVABILITY / name).read_text())


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read("compose.yaml")["services"]
    return found


def missing_mounts(found: dict[str, dict[str, Any]]) -> list[str]:
    """Files and folders of this repository that compose mounts and that do not exist."""
    sources = [mount.partition(":")[0] for service in found.values() for mount in service["volumes"]
               if not mount.startswith(PRIVATE)]  # fmt: skip
    return [source for source in sources if source.startswith(".") and not (OBSERVABILITY / source).exists()]


def inexact(found: dict[str, dict[str, Any]]) -> list[str]:
    """Images without an exact version."""
    images = [service["image"] for service in found.values()]
    return [image for image in images if not re.search(r":v?\d+\.\d+\.\d+$", image)]


def test_everything_that_is_asked_for_is_there_and_pinned() -> None:
    found = services()
    assert set(found) == {"prometheus", "alertmanager", "grafana", "collector", "tempo"}
    assert inexact(found) == []
    assert all(service["network_mode"] == "host" for service in found.values())
    assert inexact({"a": {"image": "a:latest"}, "b": {"image": "b:v3"}, "c": {"image": "c"}}) == [
        "a:latest",
        "b:v3",
        "c",
    ]


def test_every_mounted_file_and_named_volume_exists() -> None:
    found = services()
    assert missing_mounts(found) == []
    assert missing_mounts({"a": {"volumes": ["./nothing.yml:/x:ro", "named:/y"]}}) == ["./nothing.yml"]
    named = {
        mount.partition(":")[0] for service in found.values() for mount in service["volumes"] if mount[0] not in ".$"
    }
    assert named == set(read("compose.yaml")["volumes"])


def test_configurations_are_where_the_commands_say() -> None:
    for name, service in services().items():
        places = {mount.removesuffix(":ro").rpartition(":")[2] for mount in service["volumes"]}
        wanted = [part.partition("=")[2] for part in service.get("command", []) if "config" in part.partition("=")[0]]
        assert set(wanted) <= places, name
    grafana = services()["grafana"]
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home.rpartition("/")[2] in {file.name for file in made()}
    (provider,) = read("grafana/provisioning/dashboards/omni.yaml")["providers"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in grafana["volumes"]
    assert home.startswith(provider["options"]["path"])


def test_all_agree_on_ports() -> None:
    command = {name: " ".join(service.get("command", [])) for name, service in services().items()}
    prometheus, alertmanager = read("prometheus/prometheus.yml"), LOOPBACK.findall(command["alertmanager"])
    (targets,) = prometheus["alerting"]["alertmanagers"][0]["static_configs"]
    assert targets["targets"] == [f"127.0.0.1:{alertmanager[0]}"]
    sources = {each["uid"]: each for each in read("grafana/provisioning/datasources/omni.yaml")["datasources"]}
    tempo, collector = read("tempo/tempo.yaml"), read("collector/config.yaml")
    assert LOOPBACK.findall(sources["prometheus"]["url"]) == LOOPBACK.findall(command["prometheus"])
    assert sources["tempo"]["url"] == f"http://127.0.0.1:{tempo['server']['http_listen_port']}"
    received = tempo["distributor"]["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"]
    assert collector["exporters"]["otlp/tempo"]["endpoint"] == received
    assert collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"] == "127.0.0.1:4318"
    assert sources["prometheus"]["jsonData"]["timeInterval"] == prometheus["global"]["scrape_interval"]
    (exemplars,) = sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert exemplars["name"] == "trace_id"
    assert exemplars["datasourceUid"] in sources


def test_no_two_listen_on_one_port() -> None:
    tempo = read("tempo/tempo.yaml")
    ports = [
        9090, 9093, int(services()["grafana"]["environment"]["GF_SERVER_HTTP_PORT"]), 4318,
        tempo["server"]["http_listen_port"], tempo["server"]["grpc_listen_port"],
        int(tempo["distributor"]["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"].rpartition(":")[2]),
    ]  # fmt: skip
    assert len(set(ports)) == len(ports)
    assert not set(ports) & {8080, 8081, 8082, 9100}


def test_the_collector_keeps_errors_and_what_is_slow() -> None:
    collector = read("collector/config.yaml")
    policies = {each["type"]: each for each in collector["processors"]["tail_sampling"]["policies"]}
    assert policies["status_code"]["status_code"]["status_codes"] == ["ERROR"]
    assert policies["latency"]["latency"]["threshold_ms"] == 2500
    assert policies["probabilistic"]["probabilistic"]["sampling_percentage"] == 10
    for pipeline in collector["service"]["pipelines"].values():
        for part in ("receivers", "processors", "exporters"):
            assert set(pipeline[part]) <= set(collector[part])
