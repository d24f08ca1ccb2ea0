"""`omni doctor`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import redis.asyncio
import typer
from pydantic import SecretStr
from redis.exceptions import RedisError

from omni.apps.cli.output import JsonFlag, print_json, print_rows, running_settings
from omni.apps.database import database_address
from omni.apps.embedded.launch import StartupError
from omni.apps.embedded.postgres import find_binaries
from omni.apps.embedded.redis import MINIMUM, find_binary
from omni.apps.settings import SettingMissing, Settings
from omni.foundation.crypto.secrets import InvalidMasterKey
from omni.foundation.db.migrate import DatabaseUnfit, pending_revision

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def doctor(json: JsonFlag = False) -> None:
    """Print every setting with its meaning (secrets masked) and check what Omni stands on."""
    checks = asyncio.run(_checks())
    if json:
        print_json({"settings": setting_rows(Settings()), "checks": checks})
    else:
        print_rows(setting_rows(Settings()), False)
        sys.stdout.write("\n")
        print_rows(checks, False)
    sys.exit(0 if all(check["ok"] for check in checks) else 1)


def setting_rows(settings: Settings) -> list[dict[str, Any]]:
    """Each variable, its value (masked when it is a secret) and its meaning."""
    rows = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        shown = "" if value is None else "********" if isinstance(value, SecretStr) else str(value)
        rows.append({"variable": f"OMNI_{name.upper()}", "value": shown, "meaning": field.description})
    return rows


async def _checks() -> list[dict[str, Any]]:
    return [
        await _check("embedded PostgreSQL", _embedded_postgres),
        await _check("embedded Redis", _embedded_redis),
        await _check("master key", _master_key),
        await _check("database", _database),
        await _check("redis", _redis),
    ]


async def _check(name: str, look: Callable[[], Awaitable[str]]) -> dict[str, Any]:
    try:
        return {"check": name, "ok": True, "finding": await look()}
    except (StartupError, SettingMissing, InvalidMasterKey, DatabaseUnfit, RedisError, OSError) as error:
        return {"check": name, "ok": False, "finding": str(error)}


async def _embedded_postgres() -> str:
    return str(find_binaries())


async def _embedded_redis() -> str:
    return find_binary()


async def _master_key() -> str:
    return f"id {Settings().load_master_key().key_id()}"


async def _database() -> str:
    pending = await pending_revision(database_address(running_settings()))
    if pending is not None:
        raise DatabaseUnfit(f"The schema is not at revision {pending}: run `omni migrate`.")
    return "reachable, schema up to date"


async def _redis() -> str:
    client = redis.asyncio.Redis.from_url(running_settings().redis_address(), socket_timeout=3)
    try:
        version = str((await client.info("server"))["redis_version"])
        policy = (await client.config_get("maxmemory-policy")).get("maxmemory-policy", "unknown")
    finally:
        await client.aclose()
    if tuple(int(part) for part in version.split(".")[:2]) < MINIMUM:
        raise StartupError(f"Redis {version} is too old: Omni needs 6.2 or newer.")
    if policy != "noeviction":
        raise StartupError(f"Redis evicts ({policy}): set maxmemory-policy to noeviction, or counters get lost.")
    return f"{version}, noeviction"
