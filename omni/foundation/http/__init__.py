"""The HTTP base of the backend and the console: problems, request ids, idempotency, health."""
