"""Starting a server program so that it ends with us, and never as root when it must not be."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

PORTS = range(15_000, 32_000)
"""Where `free_ports` looks: below what Linux (32768) and macOS (49152) give to outgoing connections."""


class StartupError(Exception):
    """Something that `omni up` needs is not there; the message is one sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Command:
    """How to start one long-running program."""

    arguments: tuple[str, ...]
    environment: dict[str, str]
    stdin: bytes | None = None


def free_ports(count: int, besides: Collection[int] = ()) -> list[int]:
    """Different TCP ports on the loopback that nobody uses now, none of them in `besides`.

    They lie below the range from which kernels number outgoing connections: a port of that range can be taken between
    this answer and the listening by any connection of any process.
    """
    ports: list[int] = []
    for port in secrets.SystemRandom().sample(PORTS, len(PORTS)):
        if len(ports) == count:
            break
        if port not in besides and port_is_free("127.0.0.1", port):
            ports.append(port)
    if len(ports) < count:
        raise StartupError(f"No {count} ports of 127.0.0.1 are free between {PORTS.start} and {PORTS.stop - 1}.")
    return ports


def free_port() -> int:
    """One of `free_ports`."""
    return free_ports(1)[0]


def port_is_free(host: str, port: int) -> bool:
    """Whether this process could listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def ending_with_parent(arguments: tuple[str, ...], stop: signal.Signals) -> tuple[str, ...]:
    """The command, ended by `stop` when its parent is gone (Linux with util-linux; elsewhere unchanged)."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return arguments
    return (setpriv, "--pdeathsig", stop.name.removeprefix("SIG"), "--", *arguments)


def as_unprivileged(arguments: tuple[str, ...], user: str, stop: signal.Signals) -> tuple[str, ...]:
    """The command as `user`, still allowed to pass the folders above its data and programs, which may be root's alone.

    The one capability that it keeps would not count in access(2), by which PostgreSQL looks for its programs, unless
    `no_setuid_fixup` is set as well.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise StartupError(
            "PostgreSQL does not run as root and `setpriv` is missing: "
            "install util-linux, or start omni as a normal user."
        )
    account = pwd.getpwnam(user)
    return (
        setpriv,
        f"--reuid={account.pw_uid}",
        f"--regid={account.pw_gid}",
        "--clear-groups",
        "--inh-caps=+dac_override",
        "--ambient-caps=+dac_override",
        "--securebits=+no_setuid_fixup",
        "--pdeathsig",
        stop.name.removeprefix("SIG"),
        "--",
        *arguments,
    )


def unprivileged_user(folder: Path) -> str:
    """Whom PostgreSQL runs as when we are root: its data's owner, else `postgres` if there is one, else `nobody`."""
    if folder.exists() and (owner := folder.stat().st_uid) != 0:
        return pwd.getpwuid(owner).pw_name
    known = {account.pw_name for account in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def is_root() -> bool:
    return os.geteuid() == 0
