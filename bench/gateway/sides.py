"""What is measured, and what it is measured beside: processes pinned to cores, on 127.0.0.1.

The gateway and the reference (nginx with Lua) run on core 0, each alone while it is measured; load generators, the mock
provider (nginx) and Redis on core 1.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import redis

from omni.apps.embedded.launch import free_port
from omni.apps.embedded.redis import find_binary
from omni.contracts import redis_names
from omni.contracts.money import Budget, MoneySnapshot, PriceBook, Rate
from omni.contracts.routes import ModelRoute, Provider, RouteTable, Target
from omni.contracts.snapshots import KeySnapshot, PlanSnapshot, TenantSnapshot
from omni.kit.ids import mint_secret

HERE = Path(__file__).resolve().parent
GATEWAY_CORE, LOAD_CORE = "0", "1"
MODEL = "mock"
CHAT_PATH = "/v1/chat/completions"
REFERENCE_KEY = f"sk-reference-{1:034d}"
"""One of the keys that reference.lua knows."""

_TEXT = (
    "The quick brown fox jumps over the lazy dog. A gateway adds as little as it can to each call, "
    "so that the tenant sees only the own time of the model."
)
CHAT = {
    "id": "chatcmpl-9x7Qb2mZk3LrT0vW5yHs8dNfUeJ1o",
    "object": "chat.completion",
    "created": 1760000000,
    "model": MODEL,
    "choices": [{"index": 0, "message": {"role": "assistant", "content": _TEXT}, "finish_reason": "stop"}],
    "usage": {
        "prompt_tokens": 19,
        "completion_tokens": 33,
        "total_tokens": 52,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    },
}
REQUEST = {
    "model": MODEL,
    "messages": [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "Say something short about gateways and foxes, please."},
    ],
    "temperature": 0.2,
    "max_tokens": 64,
}

_COMMON = """worker_processes 1; daemon off; error_log {folder}/{name}.err warn; pid {folder}/{name}.pid;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_timeout 600s; keepalive_requests 100000000; tcp_nodelay on; default_type application/json;
  client_body_temp_path {folder}/{name}-b; proxy_temp_path {folder}/{name}-p; fastcgi_temp_path {folder}/{name}-f;
  uwsgi_temp_path {folder}/{name}-u; scgi_temp_path {folder}/{name}-s;
"""
_UPSTREAM = (
    _COMMON
    + """  server {{ listen 127.0.0.1:{port} backlog=4096; location = /v1/chat/completions {{ return 200 '{chat}'; }} }}
}}
"""
)
_REFERENCE = (
    "load_module modules/ndk_http_module.so; load_module modules/ngx_http_lua_module.so;\n"
    + _COMMON
    + """  lua_package_path "{here}/?.lua;/usr/share/lua/5.1/?.lua;;"; lua_shared_dict gcra 10m;
  upstream provider {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 100000000; }}
  init_by_lua_block {{ gateway = require "reference" }}
  server {{
    listen 127.0.0.1:{port} backlog=4096; client_body_buffer_size 64k;
    location /v1/ {{
      access_by_lua_block {{ gateway.access() }}
      body_filter_by_lua_block {{ gateway.body() }}
      log_by_lua_block {{ gateway.log() }}
      proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Authorization "Bearer sk-upstream";
    }}
  }}
}}
"""
)

_PROXY = (
    _COMMON
    + """  upstream provider {{ server 127.0.0.1:{upstream}; keepalive 4096; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }}
  }}
}}
"""
)


@dataclass(frozen=True, slots=True)
class Side:
    """A server that answers chat completions."""

    name: str
    port: int
    key: str
    pids: tuple[int, ...] = ()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{CHAT_PATH}"


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def wait_for_answer(side: Side) -> None:
    """Returns once a chat completion is answered."""
    headers = {"content-type": "application/json", "authorization": f"Bearer {side.key}"}
    deadline = time.monotonic() + 10
    while True:
        try:
            asked = urllib.request.Request(side.url, json.dumps(REQUEST).encode(), headers)
            with urllib.request.urlopen(asked, timeout=2):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def start(stack: ExitStack, core: str, *command: str, **settings: str) -> subprocess.Popen[bytes]:
    """Starts a process on a core (or cores); it ends with the stack."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | settings
    process = subprocess.Popen(["taskset", "-c", core, *command], env=environment, stdout=subprocess.DEVNULL)

    def stop() -> None:
        process.terminate()
        process.wait(20)

    stack.callback(stop)
    return process


def _nginx(stack: ExitStack, folder: Path, name: str, template: str, core: str, **values: object) -> int:
    file = folder / f"{name}.conf"
    file.write_text(template.format(folder=folder, name=name, here=HERE, **values))
    return start(stack, core, "nginx", "-p", "/usr/share/nginx", "-c", str(file)).pid


def start_upstream(stack: ExitStack, folder: Path) -> Side:
    """The mock provider."""
    port = free_port()
    pid = _nginx(stack, folder, "upstream", _UPSTREAM, LOAD_CORE, port=port, chat=json.dumps(CHAT))
    side = Side("direct", port, "none", (pid,))
    wait_for_answer(side)
    return side


def start_reference(stack: ExitStack, folder: Path, upstream: Side) -> Side:
    """nginx with Lua: checks a key, a local rate, reads usage and keeps an event in memory; no Redis."""
    port = free_port()
    pid = _nginx(stack, folder, "reference", _REFERENCE, GATEWAY_CORE, port=port, upstream=upstream.port)
    side = Side("reference", port, REFERENCE_KEY, (pid,))
    wait_for_answer(side)
    return side


def start_proxy(stack: ExitStack, folder: Path, upstream_port: int) -> Side:
    """nginx as a plain proxy: passes streams on and looks at nothing."""
    port = free_port()
    pid = _nginx(stack, folder, "proxy", _PROXY, GATEWAY_CORE, port=port, upstream=upstream_port)
    wait_for_port(port)
    return Side("nginx", port, "none", (pid,))


def start_redis(stack: ExitStack, folder: Path) -> int:
    """Redis without persistence; its port."""
    port = free_port()
    start(
        stack, LOAD_CORE, find_binary(), "--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(folder)
    )
    wait_for_port(port)
    return port


def publish(redis_port: int, upstream_port: int) -> str:
    """A key with every limit on, none of which is reached, and a priced model at the mock provider. Returns the key."""
    secret = mint_secret("omni_live_")
    key = KeySnapshot(
        uuid4(), uuid4(), uuid4(), "live", frozenset(["*"]), (), None, revoked=False,
        requests_per_minute=60_000_000, tokens_per_minute=10**9, concurrent_requests=10_000,
    )  # fmt: skip
    plan = PlanSnapshot("bench", 60_000_000, 1_000_000, 1_000_000_000, 10**12, 10**12, 10**12, None, 10_000)
    money = MoneySnapshot(key.tenant_id, (Budget("tenant", key.tenant_id, "month", 10**15, hard=True),), 10**15)
    per_million = Rate(0, 1_000_000_000, 1_000_000)
    prices = PriceBook("EUR", {"": {"input_tokens": (per_million,), "output_tokens": (per_million,)}})
    cost = {"input_tokens": Rate(0, 400_000_000, 1_000_000)}
    target = Target(f"{MODEL}@upstream", "upstream", MODEL, cost=cost)
    model = ModelRoute(MODEL, frozenset(["chat"]), (target,))
    provider = Provider("upstream", "openai", f"http://127.0.0.1:{upstream_port}/v1")
    client = redis.Redis(port=redis_port)
    for name, value in {
        redis_names.key_snapshot(hashlib.sha256(secret.encode()).hexdigest()): key.to_json(),
        redis_names.tenant_snapshot(key.tenant_id): TenantSnapshot(key.tenant_id, "bench", active=True).to_json(),
        redis_names.plan_snapshot("bench"): plan.to_json(),
        redis_names.money_snapshot(key.tenant_id): money.to_json(),
        redis_names.PRICES: prices.to_json(),
        redis_names.ROUTES: RouteTable({MODEL: model}, {"upstream": provider}).to_json(),
    }.items():
        client.set(name, value)
    client.set(redis_names.SNAPSHOTS_READY, 1)
    for partition in range(redis_names.PARTITIONS):
        client.set(redis_names.counters_ready(partition), 1)
    client.close()
    return secret


def start_gateway(
    stack: ExitStack,
    folder: Path,
    redis_port: int,
    key: str,
    *,
    workers: int = 1,
    core: str = GATEWAY_CORE,
    environment: Mapping[str, str] | None = None,
) -> Side:
    """Gateway processes as operators run them, on one port; `environment` goes before what it would be."""
    port = free_port()
    pids = []
    for number in range(workers):
        settings = {
            "OMNI_HOME": str(folder / f"home-{port}-{number}"),
            "OMNI_GATEWAY_PORT": str(port),
            "OMNI_GATEWAY_WORKERS": str(workers),
            "OMNI_METRICS_PORT": str(free_port()),
            "OMNI_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
            "OMNI_LOG_LEVEL": "WARNING",
            **(environment or {}),
        }
        command = (sys.executable, "-m", "omni.apps.cli.main", "serve", "gateway")
        pids.append(start(stack, core, *command, **settings).pid)
    side = Side("gateway", port, key, tuple(pids))
    wait_for_port(port)
    return side


def measure_start(stack: ExitStack, folder: Path, redis_port: int, key: str) -> tuple[float, float]:
    """Memory of a gateway that has not been asked anything yet (MB), and seconds from its start to its readiness."""
    begun = time.monotonic()
    side = start_gateway(stack, folder, redis_port, key)
    seconds = time.monotonic() - begun
    time.sleep(1)
    return memory_mb(side.pids[0]), seconds


def cpu_seconds(pids: Sequence[int]) -> float:
    """CPU time that the processes and all that descend from them have used."""
    todo, ticks = list(pids), 0
    for pid in todo:
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                todo += [int(child) for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split()]
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """Resident memory."""
    line = next(row for row in Path(f"/proc/{pid}/status").read_text().splitlines() if row.startswith("VmRSS"))
    return int(line.split()[1]) * 1.024 / 1000
