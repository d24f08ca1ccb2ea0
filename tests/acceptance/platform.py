"""A real `omni up` on free ports, as a test drives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import psutil

from omni.apps.embedded.launch import free_port

START_SECONDS = 90.0
STOP_SECONDS = 60.0
NOTICED_SECONDS = 1.5
Found = TypeVar("Found")
COMMAND = (sys.executable, "-m", "omni.apps.cli.main")


def until(look: Callable[[], Found | None], seconds: float, what: str) -> Found:
    """The first thing that `look` finds. Fails the test after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


@dataclass
class Platform:
    """One platform and its home."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    gateway_port: int = field(default_factory=free_port)
    console_port: int = field(default_factory=free_port)
    first_access: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> Platform:
        self.start()
        return self

    def __exit__(self, error: type[BaseException] | None, *_rest: object) -> None:
        code = self.stop()
        assert error is not None or code == 0, f"omni up ended with {code}"

    def start(self) -> None:
        """Returns once run.json is there."""
        run_file = self.home / "run.json"
        run_file.unlink(missing_ok=True)
        self.process = self.spawn()

        def ready() -> bool:
            assert self.process is not None
            if self.process.poll() is not None:
                said = self.process.stderr.read().decode() if self.process.stderr else ""
                raise AssertionError(f"omni up ended with {self.process.returncode}: {said}")
            return run_file.exists()

        try:
            until(ready, START_SECONDS, "run.json")
        except AssertionError:
            self.stop()
            raise
        self.first_access = self.run_file().get("bootstrap", self.first_access)

    def spawn(self) -> subprocess.Popen[bytes]:
        arguments = [
            *COMMAND, "up", "--home", str(self.home),
            "--gateway-port", str(self.gateway_port), "--console-port", str(self.console_port),
        ]  # fmt: skip
        return subprocess.Popen(
            arguments,
            env={**os.environ, **self.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(STOP_SECONDS)
        if self.process.stderr is not None:
            self.process.stderr.close()
        return code

    def refusal(self) -> tuple[int, str]:
        """Exit code and standard error of an `omni up` that does not get ready."""
        done = self.spawn()
        _, said = done.communicate(timeout=START_SECONDS)
        return done.returncode, said.decode()

    def run_file(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.home / "run.json").read_text())
        return content

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of the CLI on this home."""
        environment = {**os.environ, **self.environment, "OMNI_HOME": str(self.home)}
        return subprocess.run(
            [*COMMAND, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    def ready(self) -> bool:
        """Whether every process says that it is ready."""
        for url in self.run_file()["metrics"].values():
            try:
                if httpx2.get(url.replace("/metrics", "/readyz"), timeout=2, trust_env=False).status_code != 200:
                    return False
            except httpx2.TransportError:
                return False
        return True

    def wait_until_steady(self, when: str) -> None:
        """Every process has been ready for longer than they take to notice that a service is gone."""
        ready_since: list[float] = []

        def steady() -> bool:
            if not self.ready():
                ready_since.clear()
                return False
            ready_since.append(time.monotonic())
            return ready_since[-1] - ready_since[0] > NOTICED_SECONDS

        until(steady, 60, f"the platform is ready {when}")

    def kill(self, name: str) -> None:
        """kill -9 of one process; returns once another one has taken its place and all is well."""
        pid = self.run_file()["pids"][name]
        os.kill(pid, signal.SIGKILL)
        until(lambda: self.run_file()["pids"].get(name) not in (None, pid), 30, f"{name} is started again")
        self.wait_until_steady(f"after the death of {name}")

    def kill_everything(self) -> None:
        """kill -9 of the supervisor and of all that descends from it, at once."""
        assert self.process is not None
        family = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        for member in family:
            try:
                member.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(family, timeout=10)
        self.process.wait(10)
        if self.process.stderr is not None:
            self.process.stderr.close()

    @property
    def gateway(self) -> str:
        return f"http://127.0.0.1:{self.gateway_port}"

    @property
    def console(self) -> str:
        return f"http://127.0.0.1:{self.console_port}"

    def api(self, key: str | None = None) -> httpx2.Client:
        """A client of the gateway; with the first live key when none is given."""
        headers = {"Authorization": f"Bearer {key or self.first_access['live_key']}"}
        return httpx2.Client(base_url=self.gateway, headers=headers, timeout=60, trust_env=False)

    def control(self) -> httpx2.Client:
        """A client of the console, logged in as the operator."""
        body = {"email": self.first_access["operator_email"], "password": self.first_access["operator_password"]}
        login = httpx2.post(f"{self.console}/api/auth/login", json=body, timeout=30, trust_env=False).json()
        headers = {"Authorization": f"Bearer {login['session_token']}"}
        return httpx2.Client(base_url=self.console, headers=headers, timeout=30, trust_env=False)
