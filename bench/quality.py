"""`make quality`: how good the answers of the engines are, beside named references, on data that anyone can get.

Prints one table, writes bench/results/quality.json, and exits 1 when an answer is worse than it has to be.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

from bench.__main__ import RESULTS, commit, machine

TASKS = ("anomalies", "forecasts", "retrieval", "moderation", "automl")
WITHOUT_BAR = "no bar"
"""What the metric of a row says that is shown, and judged by nobody."""


def main() -> int:
    rows: list[dict[str, Any]] = []
    for task in TASKS:
        rows += importlib.import_module(f"bench.quality_{task}").run()
    RESULTS.mkdir(exist_ok=True)
    content = {"commit": commit(), "machine": machine(), "rows": rows}
    (RESULTS / "quality.json").write_text(json.dumps(content, indent=1) + "\n")
    sys.stdout.write("\n".join(table(rows)) + "\n")
    return 0 if all(row["met"] for row in rows) else 1


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Markdown."""
    lines = ["| task | data | metric | ours | references | |", "|---|---|---|---|---|---|"]
    for row in rows:
        references = ", ".join(f"{name} {value:.3f}" for name, value in row["references"].items())
        mark = "–" if WITHOUT_BAR in row["metric"] else "ok" if row["met"] else "MISSED"
        lines.append(
            f"| {row['task']} | {row['dataset']} | {row['metric']} | {row['ours']:.3f} | {references} | {mark} |"
        )
    return lines


if __name__ == "__main__":
    sys.exit(main())
