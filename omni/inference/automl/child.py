"""The process that trains: `python -m omni.inference.automl.child request.json`.

Limits itself first, and dies with whoever started it. Writes JSON lines: `{"begun": true}`, `{"trial": …}`,
`{"say": …}` (what progress shows), `{"log": [level, message]}`, and at the end one of `{"more": true}`, `{"refused":
[code, message]}` or `{"done": true}`; then the artifact and the result are in its folder.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

ARTIFACT, RESULT = "artifact", "result.json"
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def main() -> None:
    """Works for one slice."""
    request = json.loads(Path(sys.argv[1]).read_text())
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_AS, (request["memory_bytes"],) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (request["cpu_seconds"],) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_bytes"],) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    began = time.monotonic()
    from omni.inference.automl.training.refused import Refused  # noqa: PLC0415 after the limits are set

    try:
        _emit({"more": True} if not _work(request, began) else {"done": True})
    except Refused as refusal:
        _emit({"refused": [refusal.code, refusal.message]})
    except MemoryError:
        _emit({"refused": ["training_failed", "Training takes too much memory. Send fewer columns or rows."]})


def _work(request: dict[str, Any], began: float) -> bool:
    """Whether the training is done."""
    from omni.inference.automl.schemas import AutomlRequest  # noqa: PLC0415 as above

    given, folder = AutomlRequest.model_validate(request["given"]), Path(request["folder"])
    data, ends_at = Path(request["data"]), began + request["seconds"]
    found: tuple[bytes, dict[str, Any]] | None
    if given.horizon is not None:
        from omni.inference.automl.training.forecasting import train  # noqa: PLC0415 as above

        _emit({"begun": True})
        found = train(data, given, lambda: None)
    else:
        from omni.inference.automl.training.search import Trial  # noqa: PLC0415 as above
        from omni.inference.automl.training.session import TRIAL_SECONDS, SliceOver  # noqa: PLC0415
        from omni.inference.automl.training.steps import Slice, run  # noqa: PLC0415

        _emit({"begun": True})
        now, left = time.monotonic(), request["search_seconds"]
        search_until = min(now + left, ends_at - 1) if left > 0 else None
        trials = [Trial(**trial) for trial in request["trials"]]
        budget_used = now + left < ends_at - 1
        work = Slice(given, data, folder, trials, search_until, ends_at, ends_at - TRIAL_SECONDS, budget_used)
        try:
            found = run(
                work, lambda trial: _emit({"trial": trial.to_json()}), lambda said: _emit({"say": said}),
                lambda level, message: _emit({"log": [level, message]}),
            )  # fmt: skip
        except SliceOver:
            found = None
    if found is None:
        return False
    (folder / ARTIFACT).write_bytes(found[0])
    (folder / RESULT).write_text(json.dumps(found[1]))
    return True


def _emit(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
