"""Compiles the gateway's hot path with mypyc: `python -m tools.compile_gateway [FOLDER]`.

FOLDER is where `omni serve gateway` looks for it, unless it is given. A build is put there once the gateway's own tests
have passed with it.
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
from setuptools import Extension, setup  # type: ignore[import-untyped]

from omni.apps import compiled

ROOT = compiled.PACKAGE.parent
_FOR_TESTS = ("bench", "tests", "tools", "pyproject.toml")
_IS_COMPILED = "import omni.gateway.app; from omni.apps.compiled import is_compiled; assert is_compiled()"


def build(folder: Path) -> None:
    """Makes the build, in place of one that is there. Raises CalledProcessError where a step fails, which says why."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".compiling-") as name:
        scratch = Path(name)
        command = (sys.executable, "-m", "tools.compile_gateway", "--modules", name)
        subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        done = scratch / "done"
        _link(done)
        shutil.copytree(scratch / "modules", done, dirs_exist_ok=True)
        _try_out(done, scratch)
        (done / compiled.STAMP).write_text(compiled.sources_digest(), "ascii")
        shutil.rmtree(folder, ignore_errors=True)
        done.rename(folder)


def extensions(scratch: Path) -> list[Extension]:
    """The hot path translated to C, in `scratch`. Exits with mypyc's words where that cannot be done."""
    sources = [str(compiled.source(module).relative_to(ROOT)) for module in compiled.HOT_MODULES]
    found: list[Extension] = mypycify(
        [*sources, "--config-file", "pyproject.toml"], opt_level="3", debug_level="0", target_dir=str(scratch / "c")
    )
    return found


def _link(folder: Path) -> None:
    for name in compiled.package_files():
        link = folder / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(ROOT / name)


def _compile(scratch: Path) -> None:
    lib, objects = str(scratch / "modules"), str(scratch / "o")
    arguments = ["--quiet", "build_ext", "--build-lib", lib, "--build-temp", objects]
    setup(name="omni-hot-path", packages=[], ext_modules=extensions(scratch), script_args=arguments)


def _try_out(done: Path, scratch: Path) -> None:
    """The gateway's tests, from a folder in which nothing else is called omni."""
    place = scratch / "tests-of-it"
    place.mkdir()
    for name in _FOR_TESTS:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, place / name)
    environment = {**os.environ, "PYTHONPATH": str(done)}
    subprocess.run((sys.executable, "-P", "-c", _IS_COMPILED), cwd=place, check=True, env=environment)
    pytest = (sys.executable, "-P", "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", "tests/gateway")
    subprocess.run(pytest, cwd=place, check=True, env=environment)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", nargs="?", type=Path, default=compiled.FOLDER)
    arguments.add_argument("--modules", action="store_true", help="only the modules, into FOLDER")
    given = arguments.parse_args()
    if given.modules:
        _compile(given.folder)
    else:
        try:
            build(given.folder.absolute())
        except subprocess.CalledProcessError as error:
            sys.exit(f"The gateway was not compiled: {error}")


if __name__ == "__main__":
    main()
