"""The gateway with its hot path compiled, where `make compiled` has built that.

The build is a folder of links to every file of the package, with compiled modules beside the sources of the hot path:
a process that has the folder first on its path gets all of them. It serves while those sources are what it was made of.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

PACKAGE = Path(__file__).absolute().parent.parent  # in a build these are links: whose they are must be told apart
FOLDER = Path(sys.prefix) / "compiled"
"""Where builds lie."""
STAMP = "omni-sources.sha256"
_TUNABLES = "GLIBC_TUNABLES"
_MALLOC = "glibc.malloc.tcache_max=4096:glibc.malloc.tcache_count=16"
"""Bodies and commands are larger than what glibc keeps at hand by default; 8 MB more at most."""
_NO = frozenset(("false", "0", "no", "off"))
HOT_MODULES = (
    "omni.contracts.money",
    "omni.contracts.routes",
    "omni.contracts.usage",
    "omni.contracts.wire",
    "omni.gateway.access.auth",
    "omni.gateway.admission.charges",
    "omni.gateway.admission.estimates",
    "omni.gateway.admission.events",
    "omni.gateway.admission.ledger",
    "omni.gateway.admission.limits",
    "omni.gateway.admission.prices",
    "omni.gateway.admission.refusals",
    "omni.gateway.edge.exchange",
    "omni.gateway.edge.known_heads",
    "omni.gateway.edge.server",
    "omni.gateway.edge.shared",
    "omni.gateway.express",
    "omni.gateway.metrics",
    "omni.gateway.models",
    "omni.gateway.pipeline",
    "omni.gateway.plans",
    "omni.gateway.redis.client",
    "omni.gateway.redis.resp",
    "omni.gateway.repeated_heads",
    "omni.gateway.routing.attempts",
    "omni.gateway.routing.calls",
    "omni.gateway.routing.catalogue",
    "omni.gateway.routing.dispatch",
    "omni.gateway.routing.health",
    "omni.gateway.routing.requests",
    "omni.gateway.routing.router",
    "omni.gateway.routing.ways",
    "omni.gateway.streams",
    "omni.gateway.upstream.answers",
    "omni.gateway.upstream.connection",
    "omni.gateway.upstream.known_answers",
    "omni.gateway.upstream.pace",
    "omni.gateway.upstream.pools",
    "omni.gateway.upstream.uploading",
    "omni.kit.clock",
    "omni.kit.ids",
    "omni.providers.formats.chat",
    "omni.providers.formats.from_messages",
    "omni.providers.formats.shapes",
    "omni.providers.formats.sse",
    "omni.providers.formats.streams",
    "omni.providers.formats.usage",
    "omni.providers.openai.adapter",
    "omni.providers.openai.stream",
    "omni.telemetry.tallies",
)
"""What a request for a model runs through."""


def source(module: str) -> Path:
    """The file of a module."""
    return PACKAGE.parent.joinpath(*module.split(".")).with_suffix(".py")


def package_files() -> list[str]:
    """Every file of the package, relative to where it lies; without what Python makes of them."""
    top = len(str(PACKAGE.parent)) + 1
    return sorted(
        f"{folder}/{name}"[top:]
        for folder, _, names in os.walk(PACKAGE)
        if not folder.endswith("__pycache__")
        for name in names
    )


def sources_digest() -> str:
    """What a build has to be made from: the hot path as it is, and no file more or less, for this interpreter."""
    digest = hashlib.sha256(f"{sys.implementation.cache_tag}\n".encode())
    digest.update("\n".join(package_files()).encode())
    for module in HOT_MODULES:
        digest.update(source(module).read_bytes())
    return digest.hexdigest()


def is_compiled() -> bool:
    """Whether this process has the compiled modules."""
    from omni.gateway import express  # noqa: PLC0415 - only who asks loads it

    return not (express.__file__ or "").endswith(".py")


def become_compiled(arguments: list[str]) -> None:
    """Starts this process anew with the compiled modules: returns only where there are none that serve.

    `OMNI_COMPILED=false` says that none are wanted. GLIBC_TUNABLES that are set stay.
    """
    stamp, wanted = FOLDER / STAMP, os.environ.get("OMNI_COMPILED", "true").lower() not in _NO
    if wanted and PACKAGE != FOLDER / "omni" and stamp.is_file():
        if stamp.read_text("ascii") != sources_digest():
            sys.stderr.write("The compiled gateway is of other sources and not used: run `make compiled` again.\n")
            return
        environment = {_TUNABLES: _MALLOC, **os.environ, "PYTHONPATH": str(FOLDER)}
        os.execve(  # noqa: S606 - this program, with arguments that we made
            sys.executable, (sys.executable, "-P", "-m", "omni.apps.cli.main", *arguments), environment
        )  # fmt: skip
