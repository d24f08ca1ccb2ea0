"""`python -m bench [NAME …]`: runs benchmarks, writes bench/results/NAME.json, exits 1 when a bar is missed."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

NAMES = ("platform", "metering", "billing", "inference", "serving", "retrieval", "gateway", "telemetry", "cold")
BY_NAME_ONLY = ("cache", "mixed", "retrieval_scale")  # take minutes
RESULTS = Path(__file__).parent / "results"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES + BY_NAME_ONLY)}")
    names = parser.parse_args().names or NAMES
    unknown = [name for name in names if name not in NAMES + BY_NAME_ONLY]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(NAMES + BY_NAME_ONLY)}")
    return max(_run(name) for name in names)


def _run(name: str) -> int:
    bars: list[dict[str, Any]] = list(importlib.import_module(f"bench.{name}").run())
    RESULTS.mkdir(exist_ok=True)
    content = {"commit": commit(), "machine": machine(), "bars": bars}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    for bar in bars:
        wanted = "" if bar["bar"] is None else f" (bar {bar['bar']})"
        mark = "ok    " if bar["met"] else "MISSED"
        sys.stdout.write(f"{mark} {name}: {bar['name']}: {bar['value']} {bar['unit']}{wanted}\n")
    return 0 if all(bar["met"] for bar in bars) else 1


def commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def machine() -> str:
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {platform.system()}"


if __name__ == "__main__":
    sys.exit(main())
