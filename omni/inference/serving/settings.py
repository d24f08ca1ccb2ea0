"""How much models of tenants may take."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ServingSettings:
    """Limits of the processes that serve models; the same for every tenant."""

    processes: int = 8
    """Most processes at a time, each with one version of one tenant's model."""
    processes_per_tenant: int = 2
    """Most of them for one tenant, so that no tenant's slow models take all."""
    memory_bytes: int = 2048 * MIB
    """What all processes may hold; those that have rested longest end first."""
    process_memory_bytes: int = 1024 * MIB
    """Address space of one process, runtime included."""
    cpu_seconds: float = 20.0
    """CPU time of one request, or of loading a model."""
    run_seconds: float = 60.0
    """Time by the clock of one request, whatever its deadline."""
    idle_seconds: float = 600.0
    """How long a process rests before it ends."""
    queue_limit: int = 64
    """Requests of one tenant that may wait."""
    room_seconds: float = 5.0
    """How long a model waits for another's process to come to rest."""
    join_seconds: float = 0.005
    """How long a request waits for others to be joined with."""
    most_joined: int = 32
    """Requests that are answered by one run."""
