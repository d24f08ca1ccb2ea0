"""`omni serve gateway`: the public door."""

from __future__ import annotations


def main() -> None:
    raise SystemExit("gateway in the making")
