"""Logs that rotate, a home that is held by one, settings that say what they are."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from omni.apps.cli.doctor import setting_rows
from omni.apps.embedded.launch import PORTS, StartupError, free_port, free_ports, port_is_free
from omni.apps.embedded.redis import find_binary
from omni.apps.settings import SettingMissing, Settings
from omni.apps.status import probe_urls
from omni.apps.supervisor.home import Home
from omni.apps.supervisor.logs import ProcessLog
from omni.apps.supervisor.plan import Ports, child_environment, python_processes
from omni.domains.status.contracts import Component


def test_logs_are_json_lines_and_rotate(tmp_path: Path) -> None:
    log = ProcessLog(tmp_path, "redis", max_bytes=200, kept_files=2)
    log.write(b"a server's own words: \xff\n")
    log.write(b"\n")
    (wrapped,) = (json.loads(line) for line in (tmp_path / "redis.log").read_text().splitlines())
    assert (wrapped["process"], wrapped["event"]) == ("redis", "a server's own words: \ufffd")
    for number in range(60):
        log.write(b'{"event":"%d"}' % number)
    log.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["redis.log", "redis.log.1", "redis.log.2"]
    lines = [json.loads(line) for file in tmp_path.iterdir() for line in file.read_text().splitlines()]
    assert "59" in {line["event"] for line in lines}
    assert (tmp_path / "redis.log").stat().st_mode & 0o777 == 0o600


def test_a_home_is_held_by_one(tmp_path: Path) -> None:
    first = Home(tmp_path / "home")
    first.write_run_file({"gateway": "x"})
    assert (first.folder / "run.json").stat().st_mode & 0o777 == 0o600
    with pytest.raises(StartupError, match="already runs"):
        Home(tmp_path / "home")
    first.close()
    assert not (first.folder / "run.json").exists()
    (first.folder / "run.json").write_text("of a supervisor that was killed")
    second = Home(tmp_path / "home")
    assert not (first.folder / "run.json").exists()
    second.close()


def test_a_home_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartupError, match=r"cannot be written .* --home"):
        Home(tmp_path / "file")


def test_a_taken_port_says_so() -> None:
    port = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert not port_is_free("127.0.0.1", port)
        with pytest.raises(StartupError, match=f"Port {port} of the console is taken.*--console-port"):
            Ports.choose(Settings(gateway_port=free_port(), console_port=port))


def test_ports_of_one_run_differ_and_no_outgoing_connection_can_take_them() -> None:
    public = (free_port(), free_port())
    ports = Ports.choose(Settings(gateway_port=public[0], console_port=public[1], gateway_workers=40))
    every = [*public, ports.backend, ports.status, *ports.metrics.values()]
    assert len(every) == len(set(every)) == 4 + 44
    first_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(port < first_outgoing for port in every)


def test_too_many_ports_say_so() -> None:
    with pytest.raises(StartupError, match="are free between"):
        free_ports(len(PORTS) + 1)


def test_without_redis_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(StartupError, match=r"install redis-server >= 6\.2"):
        find_binary()


def test_a_redis_on_the_path_is_taken_when_it_is_new_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "redis-server"
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for version, taken in (("7.0.15", True), ("6.0.16", False)):
        program.write_text(f"#!/bin/sh\necho 'Redis server v={version} sha=0'\n")
        program.chmod(0o755)
        assert (found_binary() == str(program)) is taken


def found_binary() -> str | None:
    """None on a machine that has neither a server on its PATH nor the wheel."""
    try:
        return find_binary()
    except StartupError:
        return None


def test_every_setting_is_documented_and_secrets_are_masked() -> None:
    rows = setting_rows(Settings(database_url="postgresql://u:hunter2@h/d", master_key="hunter2"))
    assert all(row["meaning"] for row in rows)
    assert "hunter2" not in json.dumps(rows)


def test_a_missing_setting_says_what_to_do() -> None:
    with pytest.raises(SettingMissing, match="OMNI_REDIS_URL is not set: start everything with `omni up`"):
        Settings(redis_url=None).redis_address()


@pytest.mark.parametrize("text", ["x", "=http://a", "a=ftp://b"])
def test_probe_urls_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="OMNI_PROBE_URLS"):
        probe_urls(text)


def test_probe_urls() -> None:
    assert probe_urls(" A=http://a/x , B=https://b ,") == [
        Component("a", "A", "http://a/x"),
        Component("b", "B", "https://b"),
    ]
    with pytest.raises(ValueError, match="twice"):
        probe_urls("Jobs=http://a,jobs=http://b")


def test_only_the_status_process_has_its_token_and_it_has_no_other_secret(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, database_url="postgresql://a:b@h/d", redis_url="redis://:p@h/0")
    ports = Ports(1, 2, 3, 4, dict.fromkeys(("gateway", "backend", "console", "worker", "status"), 5))
    environment = child_environment(settings, ports, "postgresql://a:b@h/d", "redis://:p@h/0")
    told = {spec.name: spec.command().environment for spec in python_processes(settings, ports, environment)}
    token = settings.load_status_token()
    assert {name for name, own in told.items() if own.get("OMNI_STATUS_TOKEN") == token} == {"status"}
    for name in ("OMNI_MASTER_KEY", "OMNI_DATABASE_URL", "OMNI_REDIS_URL"):
        assert told["status"][name] == "", "set, so that what the operator's shell has does not reach it"
    assert token == Settings(home=tmp_path).load_status_token()
    assert settings.load_master_key().material.hex() not in token
