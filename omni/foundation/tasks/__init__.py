"""Celery's one door: tasks as data, the application with its safety settings, and the runtime of a worker child."""
