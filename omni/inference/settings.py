"""What the AI endpoints are told by whoever starts them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from omni.inference.serving.settings import ServingSettings

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class InferenceSettings:
    """Settings of the backend's endpoints; the composition root makes them from the environment."""

    model_cache: Path
    """Folder for graphs that are built once, e.g. the embedding model's; created when missing, survives restarts."""
    principal_secret: bytes
    """Key that the gateway signs principals with."""
    restore_secret: bytes = field(default_factory=lambda: os.urandom(32))
    """Key, 32 bytes, that the restore keys of redacted texts are sealed with; the same in every backend. A random one
    is good as long as the process lives."""
    state_secret: bytes = field(default_factory=lambda: os.urandom(32))
    """32 bytes that the states handed to callers are sealed with: the same on every replica. Without one, states do not
    outlive the process."""
    webhook_secret: bytes = field(default_factory=lambda: os.urandom(32))
    """What the secrets of jobs' webhooks come from: the same in backends and workers."""
    engine_threads: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Threads that do engine work: one per core."""
    engine_queue_limit: int = 64
    """Jobs that may wait for a thread before callers get 503."""
    document_text_bytes: int = 5 * MIB
    """Most text that one document may hold, UTF-8."""
    pdf_pages: int = 2_000
    """Most pages of a PDF document that is ingested."""
    pdf_memory_bytes: int = 1024 * MIB
    """Address space of the process that reads one PDF."""
    pdf_cpu_seconds: int = 30
    """CPU time of the process that reads one PDF."""
    ocr_pages: int = 20
    """Most pages of one file for OCR."""
    ocr_pixels: int = 40_000_000
    """Most pixels of one image or page for OCR."""
    serving: ServingSettings = field(default_factory=ServingSettings)
    """What models of tenants may take."""
