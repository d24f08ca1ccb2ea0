"""Compiles the gateway's hot path with mypyc: `python -m tools.compile_gateway [FOLDER] [--fast]`.

FOLDER is where `omni serve gateway` looks for it, unless it is given. `--fast` compiles sooner and runs slower.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mypyc.build import mypycify
from setuptools import setup  # type: ignore[import-untyped]

from omni.apps import compiled

ROOT = compiled.PACKAGE.parent


def build(folder: Path, *, fast: bool) -> None:
    """Makes the build, in place of one that is there. Raises CalledProcessError with the compiler's words printed."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".compiling-") as scratch:
        done = Path(scratch) / "done"
        command = [sys.executable, "-m", "tools.compile_gateway", "--modules", scratch, *(["--fast"] if fast else [])]
        subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        _link(done)
        shutil.copytree(Path(scratch) / "modules", done, dirs_exist_ok=True)
        (done / compiled.STAMP).write_text(compiled.sources_digest(), "ascii")
        shutil.rmtree(folder, ignore_errors=True)
        done.rename(folder)


def _link(folder: Path) -> None:
    for name in compiled.package_files():
        link = folder / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(ROOT / name)


def _compile(scratch: Path, *, fast: bool) -> None:
    sources = [str(compiled.source(module).relative_to(ROOT)) for module in compiled.HOT_MODULES]
    extensions = mypycify(
        [*sources, "--config-file", "pyproject.toml", "--no-warn-unused-ignores"],
        opt_level="0" if fast else "3",
        debug_level="0",
        target_dir=str(scratch / "c"),
    )
    setup(
        name="omni-hot-path",
        packages=[],
        ext_modules=extensions,
        script_args=[
            "--quiet",
            "build_ext",
            "--build-lib",
            str(scratch / "modules"),
            "--build-temp",
            str(scratch / "o"),
        ],
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", nargs="?", type=Path, default=compiled.FOLDER)
    arguments.add_argument("--fast", action="store_true")
    arguments.add_argument("--modules", action="store_true", help="only the modules, into FOLDER")
    given = arguments.parse_args()
    if given.modules:
        _compile(given.folder, fast=given.fast)
    else:
        build(given.folder.absolute(), fast=given.fast)


if __name__ == "__main__":
    main()
