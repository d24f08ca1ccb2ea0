"""Engines that load at first use: their packages are too heavy to hold while nobody needs them."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Generic, TypeVar

from omni.kit.errors import NotConfigured

Engine = TypeVar("Engine")
_NO_LIBRARY = "cannot open shared object file"


class LazyEngine(Generic[Engine]):
    """The engine that `build` makes from a module, imported and built once, on the thread that needs it first."""

    def __init__(self, module: str, build: Callable[[ModuleType], Engine]) -> None:
        """`module` is the full name of an engine module; `build` gets the module and returns the engine."""
        self._module = module
        self._build = build
        self._lock = threading.Lock()
        self._engine: Engine | None = None

    def get(self) -> Engine:
        """The engine. Call it from a pool's thread: the first call takes seconds. Raises NotConfigured without its
        package, or a library of the system that it needs.
        """
        if self._engine is None:
            with self._lock:
                if self._engine is None:
                    self._engine = self._build(self._import())
        return self._engine

    def _import(self) -> ModuleType:
        try:
            return importlib.import_module(self._module)
        except ImportError as error:
            raise NotConfigured(
                "engine_not_installed",
                f"The engine of this endpoint is not installed: {error.name or 'a package'} is missing on the server.",
                internal=str(error),
            ) from error
        except OSError as error:
            if _NO_LIBRARY not in str(error):
                raise
            library = str(error).partition(":")[0]
            raise NotConfigured(
                "engine_not_installed",
                f"The engine of this endpoint is not installed: the system's library {library} is missing on the "
                "server (libgomp.so.1 comes with Debian's libgomp1).",
                internal=str(error),
            ) from error
