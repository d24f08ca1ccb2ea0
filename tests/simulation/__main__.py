"""`python -m tests.simulation --seeds 0:200`: a line with a digest per seed; exits 1 when one fails.

`--seed N` plays one and prints its whole trace.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.story import run
from tests.simulation.world import Shared


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", default="0:200", help="FIRST:END")
    parser.add_argument("--seed", type=int, help="play this one and print its trace")
    options = parser.parse_args()
    shared, failed, started, virtual = Shared(), 0, time.perf_counter(), 0.0
    first, end = (int(part) for part in options.seeds.split(":"))
    for seed in range(first, end) if options.seed is None else (options.seed,):
        told = run(seed, shared)
        virtual += told.virtual_seconds
        failed += told.failure is not None
        if options.seed is not None:
            sys.stdout.writelines(f"{line}\n" for line in told.trace)
        sys.stdout.write(f"seed {seed} {told.digest} {told.decided} decisions {told.failure or 'holds'}\n")
    seconds = time.perf_counter() - started
    sys.stdout.write(f"{failed} failed; {virtual:.0f} s in {seconds:.1f} s: {virtual / seconds:.0f} times real time\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
