"""The database made ready by a process of its own: an `omni up` that runs for weeks need not keep what that loads."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from omni.apps.embedded.launch import StartupError


@dataclass(frozen=True, slots=True)
class FirstAccess:
    """What the first start makes, under the names of run.json; it is shown once. `tenant` is an id."""

    operator_email: str
    operator_password: str
    tenant: str
    live_key: str
    test_key: str


class Preparation:
    """One such process. It loads what it needs from the beginning, and works once it is told where the database is."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def begin(cls, home: Path) -> Preparation:
        """To be ended by `end`."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "omni.apps.preparation",
            env={**os.environ, "OMNI_HOME": str(home)},
            stdin=asyncio.subprocess.PIPE,  # the address has the administrator's password
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        return cls(process)

    async def prepare(self, database_url: str) -> FirstAccess | None:
        """Migrates and seeds as `bootstrap.prepare_database`. Raises StartupError with what went wrong."""
        said, errors = await self._process.communicate(database_url.encode())
        if self._process.returncode:
            lines = errors.decode("utf-8", "replace").strip().splitlines()
            raise StartupError(lines[-1] if lines else f"preparing the database ended with {self._process.returncode}")
        made = json.loads(said.splitlines()[-1])
        return FirstAccess(**made) if made else None

    async def end(self) -> None:
        """Ends it, if it has not done so."""
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


def main() -> None:
    """The process: an address on its input, what was made on its output, an error in its last line."""
    from omni.apps.bootstrap import prepare_database  # noqa: PLC0415 - the other side must not load these
    from omni.apps.settings import Settings  # noqa: PLC0415
    from omni.foundation.db.migrate import DatabaseUnfit  # noqa: PLC0415
    from omni.foundation.db.roles import DatabaseAddress  # noqa: PLC0415
    from omni.telemetry.logs import configure_logs  # noqa: PLC0415

    configure_logs("supervisor", "WARNING")
    address = DatabaseAddress(sys.stdin.read(), Settings().load_master_key())
    try:
        made = asyncio.run(prepare_database(address))
    except DatabaseUnfit as error:
        sys.exit(str(error))
    sys.stdout.write(f"{json.dumps(asdict(made) if made else None)}\n")


if __name__ == "__main__":
    main()
