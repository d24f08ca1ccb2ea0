"""The worker: moves usage and messages, tends Redis, and runs the tasks in a Celery worker of its own."""
