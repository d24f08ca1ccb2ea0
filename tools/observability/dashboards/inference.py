"""The dashboard of what computes: engines, models of tenants, deployments, training, documents."""

from __future__ import annotations

from tools.observability.dashboards.model import (
    BACKEND,
    HTTP,
    Dashboard,
    Panel,
    Query,
    Row,
    heat,
    increase,
    mean,
    one,
    percentiles,
    quantile,
    rate,
)

COUNT = f"{HTTP}_count"
STATUS, ROUTE = "http_response_status_code", "http_route"
SERVING, PREDICTIONS = "omni_serving", "omni_prediction_duration_seconds"

INFERENCE = Dashboard(
    "inference", "Inference", "The platform's own engines, and tenants' models: served, deployed, trained.",
    (
        Row("Now", (
            Panel("Jobs", "Jobs waiting or at work.", "short", one("sum(omni_engine_jobs)", "jobs"), kind="stat",
                  width=6),
            Panel("Queue used", "Jobs waiting or at work, of those that may be.", "percentunit",
                  one("sum(omni_engine_jobs) / sum(omni_engine_jobs_limit)", "used"), kind="stat", width=6,
                  thresholds=(0.5, 0.7), alerts=("EngineQueueLong",)),
            Panel("Refused", "Jobs refused because the queue was full, per second.", "ops",
                  one(rate("omni_engine_refused_total"), "refused"), kind="stat", width=6, thresholds=(0.01, 0.1),
                  alerts=("EngineQueueFull",)),
            Panel("Wait, p95", "Time that jobs waited for a thread.", "s",
                  one(quantile(0.95, "omni_engine_wait_seconds"), "p95"), kind="stat", width=6, thresholds=(0.5, 2),
                  alerts=("EngineWaitHigh",)),
        )),
        Row("Engines", (
            Panel("Jobs by engine", "Jobs done, per second.", "ops",
                  one(rate("omni_engine_job_duration_seconds_count", by="engine"), "{{engine}}"), stacked=True),
            Panel("Work by engine, p95", "Time that an engine worked on a job.", "s",
                  one(quantile(0.95, "omni_engine_job_duration_seconds", by="engine"), "{{engine}}")),
            Panel("Threads at work", "Threads busy on average, by engine.", "short",
                  one(rate("omni_engine_job_duration_seconds_sum", by="engine"), "{{engine}}"), stacked=True),
            Panel("Waiting times", "How many jobs waited how long.", "s", heat("omni_engine_wait_seconds"),
                  kind="heatmap", alerts=("EngineWaitHigh",)),
            Panel("Queue", "Jobs waiting or at work, and how many may be.", "short", (
                Query("sum(omni_engine_jobs)", "jobs"), Query("sum(omni_engine_jobs_limit)", "limit"),
            ), alerts=("EngineQueueLong", "EngineQueueFull")),
            Panel("Memory", "Resident memory of the backend.", "bytes",
                  one(f"process_resident_memory_bytes{{{BACKEND}}}", "{{instance}}"), alerts=("MemoryHigh",)),
        )),
        Row("Models of tenants", (
            Panel("Processes", "Processes of models, and how many there may be.", "short", (
                Query("sum by (status) (omni_serving_processes)", "{{status}}"),
                Query("sum(omni_serving_processes_limit)", "limit"),
            ), alerts=("ModelsRefused",)),
            Panel("Their memory", "What the processes have held at most, and what they may hold.", "bytes", (
                Query("sum(omni_serving_memory_bytes)", "held"), Query("sum(omni_serving_memory_limit_bytes)", "limit"),
            )),
            Panel("Predictions", "Answers of uploaded and of trained models, per second, by outcome.", "ops",
                  one(rate(f"{PREDICTIONS}_count", by="engine, outcome"), "{{engine}} {{outcome}}"), stacked=True),
            Panel("Predictions, p95", "From the request to the model's answer, waiting included.", "s",
                  one(quantile(0.95, PREDICTIONS, by="engine"), "{{engine}}")),
            Panel("Runs, p95", "Work of a model's process on one run.", "s",
                  one(quantile(0.95, f"{SERVING}_run_duration_seconds", by="outcome"), "{{outcome}}")),
            Panel("Wait for a run", "Time that requests waited for a process, a cold start included.", "s",
                  percentiles(f"{SERVING}_wait_seconds"), alerts=("ModelsRefused",)),
            Panel("Waiting requests", "In models' queues, behind those that are worked on.", "short",
                  one(f"sum({SERVING}_waiting_requests)", "requests")),
            Panel("Oldest waiting request", "How long the first of them has waited.", "s",
                  one(f"max({SERVING}_oldest_request_seconds)", "age")),
            Panel("Requests in a run", "Requests that one run answered, on average: above 1 where they are joined.",
                  "short", one(mean(f"{SERVING}_joined_requests"), "requests")),
            Panel("Starts", "Processes started, per second: cold, again after a death, to try an upload.", "ops",
                  one(rate(f"{SERVING}_start_duration_seconds_count", by="reason, outcome"),
                      "{{reason}} {{outcome}}")),
            Panel("Cold start", "From nothing to a process that holds its model.", "s",
                  percentiles(f"{SERVING}_start_duration_seconds", 'reason!="trial", outcome="ready"')),
            Panel("Ends", "Ends of processes, per second. Deaths: cpu, time, crash, and killed from outside.", "ops",
                  one(rate(f"{SERVING}_ends_total", by="reason"), "{{reason}}"), alerts=("ModelsDying",)),
            Panel("Refused", "Requests and trials that were refused, per second.", "ops",
                  one(rate(f"{SERVING}_refused_total", by="reason"), "{{reason}}"), alerts=("ModelsRefused",)),
            Panel("Put out of service", "Versions that died again and again, per second.", "ops",
                  one(rate(f"{SERVING}_withdrawn_total"), "versions"), alerts=("ModelsDying",)),
            Panel("Uploads", "Files of models, per second, by what became of them.", "ops",
                  one(rate("omni_model_uploads_total", by="outcome"), "{{outcome}}")),
        )),
        Row("Deployments", (
            Panel("Answers by role", "Requests to deployments, per second, by who answered and how.", "ops",
                  one(rate("omni_deployment_requests_total", by="role, outcome"), "{{role}} {{outcome}}"),
                  stacked=True),
            Panel("Shadows", "Answers that are only compared, per second.", "ops",
                  one(rate("omni_deployment_shadows_total", by="outcome"), "{{outcome}}")),
            Panel("Canaries", "What became of them in the interval, and why.", "short",
                  one(increase("omni_canary_decisions_total", by="decision, reason"), "{{decision}} {{reason}}"),
                  alerts=("CanariesRolledBack",)),
        )),
        Row("Training and documents", (
            Panel("Training processes", "At work now.", "short", one("sum(omni_training_processes)", "processes")),
            Panel("Slices of training", "Per second, by how they ended.", "ops",
                  one(rate("omni_training_duration_seconds_count", by="outcome"), "{{outcome}}")),
            Panel("Time in training", "Processes busy on average.", "short",
                  one(rate("omni_training_duration_seconds_sum"), "processes")),
            Panel("Models tried", "While searching, per second.", "ops",
                  one(rate("omni_training_trials_total"), "models")),
            Panel("Documents", "On their way into collections, per second, by what became of them.", "ops",
                  one(rate("omni_ingest_duration_seconds_count", by="outcome"), "{{outcome}}"), stacked=True),
            Panel("A document, p95", "From what was sent to stored chunks.", "s",
                  one(quantile(0.95, "omni_ingest_duration_seconds", by="outcome"), "{{outcome}}")),
            Panel("Chunks", "Per second: embedded, or kept because their text was there.", "ops",
                  one(rate("omni_ingest_chunks_total", by="outcome"), "{{outcome}}"), stacked=True),
        )),
        Row("The backend's answers", (
            Panel("Requests by route", "Per second.", "reqps",
                  one(rate(COUNT, BACKEND, ROUTE), f"{{{{{ROUTE}}}}}"), stacked=True, alerts=("BackendDown",)),
            Panel("p95 by route", "The promise is 99 % within 2.5 seconds.", "s",
                  one(quantile(0.95, HTTP, BACKEND, ROUTE), f"{{{{{ROUTE}}}}}"), thresholds=(2.5,),
                  alerts=("LatencyBudgetBurn",)),
            Panel("Errors", "Answers with 5xx, per second, by route.", "reqps",
                  one(rate(COUNT, f'{BACKEND}, {STATUS}=~"5.."', ROUTE), f"{{{{{ROUTE}}}}}")),
        )),
    ),
)  # fmt: skip

DASHBOARDS = (INFERENCE,)
