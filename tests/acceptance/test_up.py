"""`omni up` in bad circumstances: one sentence that says what to do, and another exit code than 0."""

from __future__ import annotations

import json
import socket
from base64 import b64encode
from pathlib import Path

import httpx2
import psutil
import pytest

from omni.apps.embedded.launch import free_port
from omni.foundation.crypto.secrets import MasterKey
from omni.foundation.db.roles import DatabaseAddress
from tests.acceptance.platform import Platform, until


def only_sentence(said: str) -> str:
    """Standard error, which must be one line without a traceback."""
    lines = said.strip().splitlines()
    assert len(lines) == 1, said
    return lines[0]


def test_run_json_has_what_is_promised_and_is_private(platform: Platform) -> None:
    content = platform.run_file()
    assert set(content) == {"gateway", "console", "status", "metrics", "database", "redis", "pids", "bootstrap"}
    assert set(content["metrics"]) == {"gateway", "backend", "console", "worker", "status"}
    assert set(content["pids"]) == {"gateway", "backend", "console", "worker", "status", "postgres", "redis"}
    assert set(content["bootstrap"]) == {"operator_email", "operator_password", "tenant", "live_key", "test_key"}
    assert (platform.home / "run.json").stat().st_mode & 0o777 == 0o600
    assert all(psutil.pid_exists(pid) for pid in content["pids"].values())


def test_every_process_answers_for_its_health_and_metrics(platform: Platform) -> None:
    for name, url in platform.run_file()["metrics"].items():
        for path in ("livez", "readyz"):
            assert httpx2.get(url.replace("metrics", path), trust_env=False).status_code == 200, (name, path)
        scrape = httpx2.get(url, trust_env=False).text
        assert "process_resident_memory_bytes" in scrape or "http_server" in scrape or "omni_" in scrape, name
    for base in (platform.gateway, platform.console, platform.run_file()["status"]):
        assert httpx2.get(f"{base}/livez", trust_env=False).status_code == 200


def test_a_second_one_on_the_same_home_is_refused(platform: Platform) -> None:
    code, said = Platform(platform.home).refusal()
    assert code == 1
    assert "already runs" in only_sentence(said)
    assert platform.ready()


def test_a_demo_beside_a_running_platform_leaves_it_alone(platform: Platform) -> None:
    before = platform.run_file()
    done = platform.command("demo", "--up")
    assert done.returncode == 1
    assert "already runs" in only_sentence(done.stderr)
    assert platform.run_file() == before
    assert platform.ready()


def test_the_tour_walks_through_a_running_platform(platform: Platform) -> None:
    done = platform.command("demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert platform.ready()


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        wanted = Platform(tmp_path / "home", gateway_port=taken.getsockname()[1])
        code, said = wanted.refusal()
    assert code == 1
    assert f"Port {wanted.gateway_port} of the gateway is taken" in only_sentence(said)


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for home in (tmp_path / "file" / "home", Path("/proc/omni")):
        code, said = Platform(home).refusal()
        assert code == 1
        assert "cannot be written" in only_sentence(said)


@pytest.fixture
def external(database_address: DatabaseAddress, redis_url: str, master_key: MasterKey) -> dict[str, str]:
    """The servers that the other tests use, with the master key that their roles' passwords come from."""
    return {
        "OMNI_DATABASE_URL": database_address.admin_url,
        "OMNI_REDIS_URL": redis_url,
        "OMNI_MASTER_KEY": b64encode(master_key.material).decode(),
    }


def test_an_unreachable_external_database_is_named(tmp_path: Path, external: dict[str, str]) -> None:
    nowhere = f"postgresql://u:p@127.0.0.1:{free_port()}/omni"
    code, said = Platform(tmp_path / "home", {**external, "OMNI_DATABASE_URL": nowhere}).refusal()
    assert code == 1
    assert "PostgreSQL cannot be reached" in only_sentence(said)


def test_a_wrong_master_key_is_named(tmp_path: Path) -> None:
    code, said = Platform(tmp_path / "home", {"OMNI_MASTER_KEY": "short"}).refusal()
    assert code == 1
    assert "openssl rand -base64 32" in only_sentence(said)


def test_it_stops_cleanly_and_starts_again_with_its_state(tmp_path: Path) -> None:
    started = Platform(tmp_path / "home")
    started.start()
    with started.api() as client:
        assert client.get("/v1/models").status_code == 200
    assert started.stop() == 0
    assert not (started.home / "run.json").exists()
    commands = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert not [command for command in commands if str(started.home) in command]
    started.start()
    assert "bootstrap" not in started.run_file()
    with started.api() as client:
        until(lambda: client.get("/v1/models").status_code == 200, 10, "the old key works")
    assert started.stop() == 0


def test_several_gateways_share_the_port_and_external_services_are_used(
    tmp_path: Path, external: dict[str, str]
) -> None:
    with Platform(tmp_path / "home", {**external, "OMNI_GATEWAY_WORKERS": "2"}) as started:
        content = started.run_file()
        assert {"gateway", "gateway-2"} <= set(content["pids"])
        assert not {"postgres", "redis"} & set(content["pids"])
        assert httpx2.get(f"{started.gateway}/readyz", trust_env=False).status_code == 200


def test_the_command_line_tells_what_runs(platform: Platform) -> None:
    tenants = json.loads(platform.command("tenants", "list", "--json").stdout)
    tenant = platform.first_access["tenant"]
    assert tenant in [row["id"] for row in tenants]
    made = json.loads(platform.command("keys", "create", "--tenant", tenant, "--json").stdout)[0]
    with platform.api(made["key"]) as client:
        until(lambda: client.get("/v1/models").status_code == 200, 5, "the new key works")
        assert platform.command("keys", "revoke", "--tenant", tenant, made["id"]).returncode == 0
        until(lambda: client.get("/v1/models").status_code == 401, 2, "the revoked key is refused")
    for command in (
        ["plans", "list"],
        ["usage", "--tenant", tenant],
        ["invoices", "upcoming", "--tenant", tenant],
        ["doctor"],
    ):
        done = platform.command(*command, "--json")
        assert done.returncode == 0, (command, done.stderr)
        json.loads(done.stdout)
    assert platform.command("nonsense").returncode == 2
    assert "serve" in platform.command("--help").stdout


def test_a_command_without_a_platform_says_what_to_do(tmp_path: Path) -> None:
    done = Platform(tmp_path / "nothing").command("tenants", "list")
    assert done.returncode == 1
    assert "start `omni up`" in only_sentence(done.stderr)
