"""Every metric of what serves, trains and feeds models, on one page; those of the engines' pool are in `metrics`.

All but those of jobs are counted on the backend's event loop, without locks. No label names a tenant or a model.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge, Histogram

from omni.telemetry.tallies import Spread, Tally

WORK_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
START_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
SLICE_BUCKETS = (0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0)
JOINED_BUCKETS = (1, 2, 4, 8, 16, 32)

DEATHS = ("cpu", "time", "crash", "killed")
"""Ends of a process that nobody wanted."""
ENDS = (*DEATHS, "evicted", "idle", "deleted", "stopped", "tried")
REFUSALS = ("queue_full", "no_room", "deleted", "trials")
STARTS = ("cold", "restart", "trial")


class ServingMetrics:
    """The processes in which uploaded models work."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.processes = Gauge(
            "omni_serving_processes", "Processes of models: starting, working or resting.", ("status",),
            registry=registry,
        )  # fmt: skip
        self.limit = Gauge("omni_serving_processes_limit", "Processes that there may be.", registry=registry)
        self.memory = Gauge(
            "omni_serving_memory_bytes", "What the processes that there are have held at most.", registry=registry
        )
        self.memory_limit = Gauge("omni_serving_memory_limit_bytes", "What they may hold.", registry=registry)
        self.waiting = Gauge(
            "omni_serving_waiting_requests",
            "Requests in models' queues, behind those that a process works on or is started for.",
            registry=registry,
        )
        self.oldest = Gauge(
            "omni_serving_oldest_request_seconds", "How long the first of them has waited.", registry=registry
        )
        self.starts = Spread(
            "omni_serving_start_duration_seconds",
            "From nothing to a process that holds its model: cold, restart after a death, or trial of an upload.",
            ("reason", "outcome"),
            START_BUCKETS,
            registry,
            known=[(reason, outcome) for reason in STARTS for outcome in ("ready", "failed")],
        )
        self.ends = Tally(
            "omni_serving_ends",
            "Ends of processes that were ready: deaths (cpu, time, crash, killed), or to make room and the like.",
            ("reason",),
            registry,
            [(reason,) for reason in ENDS],
        )
        self.refused = Tally(
            "omni_serving_refused", "Requests to models, and trials, that were refused.", ("reason",), registry,
            [(reason,) for reason in REFUSALS],
        )  # fmt: skip
        self.withdrawn = Tally(
            "omni_serving_withdrawn", "Versions put out of service, for they died again and again.", (), registry
        )
        self.wait = Spread(
            "omni_serving_wait_seconds", "Time that requests waited for their run, a cold start included.", (),
            WORK_BUCKETS, registry,
        ).one()  # fmt: skip
        runs = Spread(
            "omni_serving_run_duration_seconds", "Work of a process on one run: answered, failed or ended it.",
            ("outcome",), WORK_BUCKETS, registry,
        )  # fmt: skip
        self.run_answered, self.run_failed, self.run_ended = (
            runs.one(outcome) for outcome in ("answered", "failed", "ended")
        )
        self.joined = Spread(
            "omni_serving_joined_requests", "Requests that one run answered.", (), JOINED_BUCKETS, registry
        ).one()


class PredictionMetrics:
    """Answers of tenants' models, uploaded or trained here, whoever asked: a caller, a deployment, a job."""

    OUTCOMES = ("ok", "invalid", "model_failed", "process_ended", "busy", "timeout", "cancelled", "error")

    def __init__(self, registry: CollectorRegistry) -> None:
        self.duration = Spread(
            "omni_prediction_duration_seconds",
            "From a request to a model to its answer, reading and writing included.",
            ("engine", "outcome"),
            WORK_BUCKETS,
            registry,
            known=[(engine, outcome) for engine in ("onnx", "automl") for outcome in self.OUTCOMES],
        )
        self.uploads = Tally(
            "omni_model_uploads", "Files of models: stored, refused, did not run, or failed.", ("outcome",), registry,
            [(outcome,) for outcome in ("stored", "refused", "does_not_run", "failed")],
        )  # fmt: skip


class DeploymentMetrics:
    """Who answers at deployments, and what becomes of new versions."""

    DECISIONS = (
        ("stepped", "healthy"), ("promoted", "healthy"), ("rolled_back", "errors"), ("rolled_back", "latency"),
        ("rolled_back", "quality"),
    )  # fmt: skip

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Tally(
            "omni_deployment_requests",
            "Requests to deployments by who answered: ok, failed by the version's fault, or refused.",
            ("role", "outcome"),
            registry,
            [(role, outcome) for role in ("live", "canary") for outcome in ("ok", "failed", "refused")],
        )
        self.shadows = Tally(
            "omni_deployment_shadows", "Shadows: agreed, differed, failed, or skipped for want of time.", ("outcome",),
            registry, [(outcome,) for outcome in ("agreed", "differed", "failed", "skipped")],
        )  # fmt: skip
        self.decisions = Tally(
            "omni_canary_decisions", "What became of canaries, and why.", ("decision", "reason"), registry,
            self.DECISIONS,
        )  # fmt: skip


class TrainingMetrics:
    """The processes in which models are trained."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.processes = Gauge("omni_training_processes", "Processes that train a model now.", registry=registry)
        self.duration = Spread(
            "omni_training_duration_seconds",
            "Work of a training process on one slice: done, more to do, refused, cancelled or died.",
            ("outcome",),
            SLICE_BUCKETS,
            registry,
            known=[(outcome,) for outcome in ("done", "more", "refused", "cancelled", "died")],
        )
        self.trials = Tally("omni_training_trials", "Models that were tried while searching.", (), registry)


class IngestMetrics:
    """Documents on their way into collections."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.duration = Spread(
            "omni_ingest_duration_seconds",
            "From a document to its stored chunks: created, replaced, unchanged or failed.",
            ("outcome",),
            WORK_BUCKETS,
            registry,
            known=[(outcome,) for outcome in ("created", "replaced", "unchanged", "failed")],
        )
        self.chunks = Tally(
            "omni_ingest_chunks", "Chunks of documents: embedded, or kept because their text was there.", ("outcome",),
            registry, [("embedded",), ("kept",)],
        )  # fmt: skip


class InferenceMetrics:
    """All of them that a backend has."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.serving = ServingMetrics(registry)
        self.predictions = PredictionMetrics(registry)
        self.deployments = DeploymentMetrics(registry)
        self.training = TrainingMetrics(registry)
        self.ingest = IngestMetrics(registry)


class JobMetrics:
    """Workers on jobs. Several processes write them, so they are prometheus-client's own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.slices = Histogram(
            "omni_job_slice_duration_seconds",
            "A worker's time with a job: how the job ended, more or later when it did not, broken or lost.",
            ("kind", "outcome"),
            registry=registry,
            buckets=SLICE_BUCKETS,
        )
