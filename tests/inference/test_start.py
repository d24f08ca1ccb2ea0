"""The backend starts light: nothing heavy is imported before an engine is needed."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = (
    "onnxruntime", "onnx", "tokenizers", "statsforecast", "statsmodels", "numba", "pandas", "scipy", "pyod", "sklearn",
    "rapidocr", "cv2", "pypdfium2", "vaderSentiment", "matplotlib", "lingua", "datasketch", "phonenumbers",
    "spellchecker", "bpe_openai", "pyarrow", "lightgbm", "flaml", "holidays",
)  # fmt: skip


def test_importing_the_composition_loads_no_engine() -> None:
    script = f"import json, sys, omni.inference.app; print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert json.loads(done.stdout) == []
