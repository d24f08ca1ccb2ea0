"""Linear algebra keeps to its caller's thread here as in `omni serve backend`: read when numpy is imported."""

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
