"""The settings that keep a killed worker from losing a task, and the delivery of one."""

from __future__ import annotations

from omni.foundation.tasks.celery_app import QueueSettings, create_celery


def test_a_killed_worker_loses_nothing() -> None:
    settings = QueueSettings("redis://localhost:1/0")
    conf = create_celery(settings).conf
    assert conf.task_acks_late
    assert conf.task_reject_on_worker_lost
    assert not conf.task_acks_on_failure_or_timeout
    assert conf.worker_prefetch_multiplier == 1
    assert conf.worker_disable_prefetch
    assert conf.worker_soft_shutdown_timeout > 0
    assert conf.worker_enable_soft_shutdown_on_idle
    assert conf.accept_content == ["json"]
    timeouts = {
        conf.visibility_timeout,
        conf.broker_transport_options["visibility_timeout"],
        conf.result_backend_transport_options["visibility_timeout"],
    }
    assert timeouts == {settings.visibility_timeout_seconds}
    assert conf.task_time_limit < settings.visibility_timeout_seconds
