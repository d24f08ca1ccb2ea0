"""Dashboards of what everything runs on: jobs, PostgreSQL, Redis, processes."""

from __future__ import annotations

from tools.observability.dashboards.model import Dashboard, Panel, Query, Row, heat, mean, one, quantile, rate, share

SLICES = "omni_job_slice_duration_seconds"
TASKS = "omni_task_duration_seconds"
STATEMENTS = "db_client_operation_duration_seconds"
POOL = "db_client_connection_pool_name"
HIT, READ = rate("omni_postgres_blocks_hit_total"), rate("omni_postgres_blocks_read_total")
FOUND, MISSED = rate("omni_redis_keyspace_hits_total"), rate("omni_redis_keyspace_misses_total")

JOBS = Dashboard(
    "jobs", "Jobs", "Background work: outbox, task queue, jobs of tenants, tasks, loops of the worker.",
    (
        Row("Now", (
            Panel("Oldest message", "Age of the oldest message that waits in the outbox.", "s",
                  one("max(omni_outbox_oldest_seconds)", "age"), kind="stat", width=6, thresholds=(15, 60),
                  alerts=("OutboxStuck",)),
            Panel("Task queue", "Tasks that wait in the broker.", "short",
                  one("max(omni_task_queue_messages)", "tasks"),
                  kind="stat", width=6, thresholds=(100, 1000), alerts=("TaskQueueLong",)),
            Panel("Dead messages", "Messages that failed for good and wait for a person.", "short",
                  one("max(omni_dead_messages)", "messages"), kind="stat", width=6, thresholds=(1,),
                  alerts=("DeadMessages",)),
            Panel("Task worker", "Whether the worker's child that does tasks runs.", "bool_yes_no",
                  one('min(omni_dependency_up{dependency="tasks"})', "runs"), kind="stat", width=6, thresholds=(1,),
                  low_is_bad=True, alerts=("TaskWorkerDown", "WorkerDown")),
        )),
        Row("Outbox and queue", (
            Panel("Waiting", "Messages in the outbox and tasks in the broker.", "short", (
                Query("max(omni_outbox_messages)", "outbox"), Query("max(omni_task_queue_messages)", "broker"),
            )),
            Panel("Relayed", "Messages handed to the task queue, per second.", "ops",
                  one(rate("omni_outbox_relayed_messages_total"), "messages")),
            Panel("Failed rounds", "Rounds of the worker's loops that failed, per second. They are tried again.", "ops",
                  one(rate("omni_worker_loop_failures_total", by="loop"), "{{loop}}"), alerts=("WorkerLoopFailing",)),
        )),
        Row("Jobs of tenants", (
            Panel("Waiting jobs", "Jobs that wait for a worker, also between two slices, by kind.", "short",
                  one("max by (kind) (omni_jobs_waiting)", "{{kind}}"), alerts=("JobsWaitLong",)),
            Panel("Longest wait", "How long the job has waited that waits longest, by kind.", "s",
                  one("max by (kind) (omni_jobs_oldest_seconds)", "{{kind}}"), thresholds=(600,),
                  alerts=("JobsWaitLong",)),
            Panel("Jobs at work", "Jobs that a worker is at, by kind.", "short",
                  one("max by (kind) (omni_jobs_working)", "{{kind}}")),
            Panel("Slices", "A worker's times with a job, per second, by how they ended.", "ops",
                  one(rate(f"{SLICES}_count", by="kind, outcome"), "{{kind}} {{outcome}}")),
            Panel("Slices, p95", "How long a worker is at a job before it takes the next.", "s",
                  one(quantile(0.95, SLICES, by="kind"), "{{kind}}")),
            Panel("Workers on jobs", "Workers busy on average, by kind.", "short",
                  one(rate(f"{SLICES}_sum", by="kind"), "{{kind}}"), stacked=True),
        )),
        Row("Tasks", (
            Panel("Tasks", "Done per second, by name.", "ops", one(rate(f"{TASKS}_count", by="task"), "{{task}}")),
            Panel("Failing", "Share of each task's runs that failed.", "percentunit",
                  one(share(rate(f"{TASKS}_count", 'outcome="failed"', "task"), rate(f"{TASKS}_count", by="task")),
                      "{{task}}"), thresholds=(0.2,), alerts=("TasksFailing",)),
            Panel("Duration, p95", "By name.", "s", one(quantile(0.95, TASKS, by="task"), "{{task}}")),
            Panel("Swept objects", "Objects that no row named, deleted within an hour.", "short",
                  one("sum(increase(omni_objects_swept_total[1h]))", "objects")),
        )),
    ),
)  # fmt: skip

POSTGRESQL = Dashboard(
    "postgresql", "PostgreSQL", "The database as the platform sees it: statements, pools, and the server's own state.",
    (
        Row("Now", (
            Panel("Reachable", "Whether every process reached the database at its last check.", "bool_yes_no",
                  one('min(omni_dependency_up{dependency="database"})', "reachable"), kind="stat", width=4,
                  thresholds=(1,), low_is_bad=True, alerts=("PostgresDown",)),
            Panel("Connections used", "Of those that the server allows.", "percentunit",
                  one("max(omni_postgres_connections) / max(omni_postgres_connections_limit)", "used"), kind="stat",
                  width=4, thresholds=(0.6, 0.8), alerts=("PostgresConnectionsHigh",)),
            Panel("Found in memory", "Blocks found in shared buffers. Low: the server reads a lot.", "percentunit",
                  one(f"{HIT} / ({HIT} + {READ})", "found"), kind="stat", width=4, thresholds=(0.9, 0.98),
                  low_is_bad=True, alerts=("PostgresCacheHitLow",)),
            Panel("Size", "Of the database on disk.", "bytes", one("max(omni_postgres_size_bytes)", "size"),
                  kind="stat", width=4),
            Panel("Transactions to wraparound", "Age of the oldest not frozen; the server stops at 2.1e9.", "short",
                  one("max(omni_postgres_oldest_xid_age)", "age"), kind="stat", width=4, thresholds=(6e8, 1.2e9),
                  alerts=("PostgresWraparoundNear",)),
            Panel("Errors", "Statements that were refused or not answered, per second.", "ops",
                  one(rate("omni_db_errors_total"), "errors"), kind="stat", width=4, thresholds=(0.1, 1)),
        )),
        Row("Statements", (
            Panel("Statements", "Per second, by their first word.", "ops",
                  one(rate(f"{STATEMENTS}_count", by="db_operation_name"), "{{db_operation_name}}"), stacked=True),
            Panel("p99 by process", "Which process waits for the database.", "s",
                  one(quantile(0.99, STATEMENTS, by="process"), "{{process}}"), thresholds=(1,),
                  alerts=("DatabaseSlow",)),
            Panel("Mean by kind", "By the statement's first word.", "s",
                  one(mean(STATEMENTS, by="db_operation_name"), "{{db_operation_name}}")),
            Panel("Durations", "How many statements took how long.", "s", heat(STATEMENTS), kind="heatmap"),
            Panel("Errors by process", "Statements that were refused or not answered, per second.", "ops",
                  one(rate("omni_db_errors_total", by="process"), "{{process}}")),
            Panel("Pools used", "Connections in use, of those that a pool may have.", "percentunit",
                  one(f'sum by ({POOL}) (db_client_connection_count{{db_client_connection_state="used"}})'
                      f" / sum by ({POOL}) (db_client_connection_max)", f"{{{{{POOL}}}}}"),
                  thresholds=(0.9,), alerts=("DatabasePoolExhausted",)),
        )),
        Row("Server", (
            Panel("Transactions", "Per second.", "ops", (
                Query(rate("omni_postgres_commits_total"), "committed"),
                Query(rate("omni_postgres_rollbacks_total"), "rolled back"),
            )),
            Panel("Deadlocks", "Per second.", "ops", one(rate("omni_postgres_deadlocks_total"), "deadlocks"),
                  alerts=("PostgresDeadlocks",)),
            Panel("Blocks", "Per second, from shared buffers and from outside.", "ops", (
                Query(HIT, "found"), Query(READ, "read"),
            ), alerts=("PostgresCacheHitLow",)),
            Panel("Connections", "To the server, and how many it allows.", "short", (
                Query("max(omni_postgres_connections)", "connections"),
                Query("max(omni_postgres_connections_limit)", "limit"),
            ), alerts=("PostgresConnectionsHigh",)),
            Panel("Dead rows", "Row versions that wait for vacuum. Growing for hours: vacuum is held up.", "short",
                  one("max(omni_postgres_dead_rows)", "rows")),
            Panel("Size", "Of the database on disk.", "bytes", one("max(omni_postgres_size_bytes)", "size")),
        )),
    ),
)  # fmt: skip

REDIS = Dashboard(
    "redis", "Redis", "Limits, reservations and usage on their way: memory, writes to disk, and how it is used.",
    (
        Row("Now", (
            Panel("Reachable", "Whether the worker reached Redis at its last check.", "bool_yes_no",
                  one('min(omni_dependency_up{dependency="redis"})', "reachable"), kind="stat", width=6,
                  thresholds=(1,), low_is_bad=True, alerts=("RedisDown",)),
            Panel("Written to disk", "Whether the last write to disk went well.", "bool_yes_no",
                  one("min(omni_redis_persistence_ok)", "well"), kind="stat", width=6, thresholds=(1,), low_is_bad=True,
                  alerts=("RedisNotPersisting",)),
            Panel("Memory", "That Redis uses.", "bytes", one("max(omni_redis_memory_bytes)", "used"), kind="stat",
                  width=6, alerts=("RedisMemoryHigh",)),
            Panel("Thrown out", "Keys thrown out for want of memory, per second. Above 0: limits forget.", "ops",
                  one(rate("omni_redis_evicted_keys_total"), "keys"), kind="stat", width=6, thresholds=(0.001,),
                  alerts=("RedisEvicting",)),
        )),
        Row("Use", (
            Panel("Memory", "Used, and the limit; 0 = as much as there is.", "bytes", (
                Query("max(omni_redis_memory_bytes)", "used"), Query("max(omni_redis_memory_limit_bytes)", "limit"),
            ), alerts=("RedisMemoryHigh",)),
            Panel("Commands", "Per second.", "ops", one(rate("omni_redis_commands_total"), "commands")),
            Panel("Connections", "To Redis.", "short", one("max(omni_redis_clients)", "connections")),
            Panel("Look-ups that found their key", "Share of all look-ups.", "percentunit",
                  one(f"{FOUND} / ({FOUND} + {MISSED})", "found")),
            Panel("Batches of the gateway", "Written to Redis, per second.", "ops",
                  one(rate("omni_redis_round_trips_total", by="instance"), "{{instance}}")),
            Panel("Usage events", "That wait in Redis for the drain.", "short",
                  one("sum(omni_usage_stream_entries)", "events"), alerts=("UsageBacklog",)),
        )),
    ),
)  # fmt: skip

PROCESSES = Dashboard(
    "processes", "Processes", "Each process of the platform: is it there, since when, and what does it use.",
    (
        Row("Processes", (
            Panel("Up", "1 when Prometheus reaches it.", "bool_yes_no", one("min by (process, instance) (up)",
                  "{{process}} {{instance}}"), kind="bargauge", thresholds=(1,), low_is_bad=True,
                  alerts=("GatewayReplicaDown", "GatewayDown", "BackendDown", "ConsoleDown", "WorkerDown",
                          "StatusPageDown")),
            Panel("Running for", "Short and short again: it starts again and again.", "s",
                  one("time() - process_start_time_seconds", "{{process}} {{instance}}"),
                  alerts=("ProcessRestarting",)),
            Panel("Versions", "What runs where.", "none",
                  one("max by (process, instance, version) (omni_build_info)", "running"), kind="table",
                  alerts=("TargetMissing",)),
            Panel("CPU", "Cores in use.", "short",
                  one(rate("process_cpu_seconds_total", by="process, instance"), "{{process}} {{instance}}"),
                  stacked=True),
            Panel("Memory", "Resident.", "bytes",
                  one("process_resident_memory_bytes", "{{process}} {{instance}}"), thresholds=(3e9,),
                  alerts=("MemoryHigh",)),
            Panel("Open files", "Of those that the process may have.", "percentunit",
                  one("process_open_fds / process_max_fds", "{{process}} {{instance}}"), thresholds=(0.8,),
                  alerts=("FileDescriptorsHigh",)),
        )),
    ),
)  # fmt: skip

DASHBOARDS = (JOBS, POSTGRESQL, REDIS, PROCESSES)
