"""The names under which workers hear of jobs."""

from __future__ import annotations

RUN = "jobs.run"
"""Work on the next job. It says that there is work, not which: what is lost or comes twice changes nothing."""

NOTIFY = "jobs.notify"
"""Tell those who want to know of jobs that have ended. Which, the database knows."""
