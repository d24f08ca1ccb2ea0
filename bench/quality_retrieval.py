"""How well search finds: questions about a real manual, the topics of Python's language reference.

    python -m bench.quality_retrieval

The manual ships with Python (`pydoc_data.topics`, what `help()` shows). The questions are written by hand as a reader
would ask, many without the manual's own words; each has the topics that answer it. Measured over documents, each in the
place of its best chunk.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any
from uuid import UUID

from prometheus_client import CollectorRegistry

from bench.retrieval import call_of, started
from omni.foundation.db.sessions import Database
from omni.inference.language.embedder import Embedder
from omni.inference.language.models import MINILM
from omni.inference.pdf.reader import PdfReader
from omni.inference.retrieval.answering import Answering
from omni.inference.retrieval.evaluating import Evaluating
from omni.inference.retrieval.evaluation_schemas import EvaluatedQuestion, EvaluationRequest, Target
from omni.inference.retrieval.extraction import Extractor
from omni.inference.retrieval.generating import Generating
from omni.inference.retrieval.ingest import Ingest, Sent
from omni.inference.retrieval.measures import Measures, mean_of, measures_at
from omni.inference.retrieval.question_schemas import Mode
from omni.inference.retrieval.repository import collections
from omni.inference.retrieval.schemas import CollectionRequest
from omni.inference.retrieval.search import Search, Wanted
from omni.inference.retrieval.writing import WrittenAnswers
from omni.inference.runtime.call import Call
from omni.inference.runtime.pool import EnginePool
from omni.inference.settings import InferenceSettings
from omni.kit.ids import uuid7
from omni.telemetry.inference_metrics import IngestMetrics
from omni.telemetry.metrics import EngineMetrics

K = 10
MODES: tuple[Mode, ...] = ("hybrid", "dense", "lexical")
QUESTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("How do I check a condition and stop the program if it does not hold?", ("assert",)),
    ("How can I leave a loop early?", ("break",)),
    ("Skip the rest of the loop body and go on with the next iteration", ("continue",)),
    ("What does a for loop's else clause do?", ("for", "else", "while", "break")),
    ("How do I catch an error and clean up afterwards?", ("try", "exceptions")),
    ("How do I throw an exception myself?", ("raise",)),
    ("What is a with statement good for?", ("with", "context-managers")),
    ("How do I write an object that can be used in a with statement?", ("context-managers",)),
    ("How do I define a small anonymous function?", ("lambda",)),
    ("Default values of function parameters are evaluated when?", ("function",)),
    ("What do decorators on a function mean?", ("function", "class")),
    ("How do I make a generator?", ("yield",)),
    ("Change a variable of the enclosing function from an inner function", ("nonlocal", "naming", "execmodel")),
    ("Assign to a module-level variable inside a function", ("global", "naming", "execmodel")),
    ("How does import find modules?", ("import",)),
    ("What happens with from module import star?", ("import",)),
    ("How can I define how my objects are compared for equality?", ("customization", "comparisons")),
    ("Which method is called when an instance is printed or converted to a string?", ("customization",)),
    ("How do I intercept access to attributes that do not exist?", ("attribute-access",)),
    ("What are descriptors?", ("attribute-access",)),
    ("How do I make instances callable like a function?", ("callable-types",)),
    ("Emulate a container with square brackets", ("sequence-types",)),
    ("Overload the plus operator for my class", ("numeric-types",)),
    ("In which order are operators evaluated, which binds tighter?", ("operator-summary",)),
    ("How are strings formatted with format specifiers like width and precision?", ("formatstrings",)),
    ("Split a string at a separator", ("string-methods",)),
    ("Remove white space at both ends of a text", ("string-methods",)),
    ("How do I write raw strings and escape sequences?", ("strings",)),
    ("Merge two dictionaries", ("typesmapping",)),
    ("Get a value by key with a default if the key is missing", ("typesmapping",)),
    ("Sort a list in place", ("typesseq-mutable", "typesseq")),
    ("Insert an item at a position of a list", ("typesseq-mutable",)),
    ("How do I take every second element of a list?", ("slicings", "typesseq", "subscriptions")),
    ("Which values count as false?", ("truth",)),
    ("Combine conditions with and, or, not", ("booleans",)),
    ("Is there a chained comparison like a < b < c?", ("comparisons",)),
    ("How do I test whether an item is in a list?", ("in", "comparisons", "typesseq")),
    ("Raise a number to a power", ("power",)),
    ("Shift bits to the left", ("shifting", "bitwise")),
    ("How do I delete a variable or an item?", ("del",)),
    ("A statement that does nothing", ("pass",)),
    ("How do I debug my program step by step and set breakpoints?", ("debugger",)),
    ("How can I write hexadecimal or binary literals?", ("integers", "numbers")),
    ("Write an imaginary number", ("imaginary", "numbers")),
    ("Return several values from a function", ("return",)),
    ("Asynchronous functions and await", ("async", "await")),
    ("Unpack a sequence into several variables in one assignment", ("assignment",)),
    ("Add to a variable in place with +=", ("augassign",)),
    ("Which names may a variable have, and which words are reserved?", ("identifiers", "id-classes")),
    ("What is a metaclass and how does class creation work?", ("class", "customization")),
)


async def ingest(
    database: Database, embedder: Embedder, extractor: Extractor, tenant_id: UUID
) -> tuple[UUID, dict[str, UUID]]:
    """A collection with the whole manual; document ids by topic."""
    async with database.write(tenant_id) as session:
        collection = await collections.add(session, CollectionRequest(name="manual"))
    put, ids = Ingest(database, embedder, extractor, IngestMetrics(CollectorRegistry())).put, {}
    for name, text in topics.items():
        document = await put(
            call_of(tenant_id), Sent(collection.id, None, name, "text/plain", text.encode("utf-8"), None)
        )
        ids[name] = document.id
    return collection.id, ids


async def of_documents(find: Search, call: Call, collection_id: UUID, ids: dict[str, UUID]) -> dict[str, Measures]:
    """Each mode's measures over documents, each in the place of its best chunk."""
    found: dict[str, Measures] = {}
    for mode in MODES:
        each = []
        for question, relevant in QUESTIONS:
            hits = (await find.find(call, collection_id, Wanted(question, K, mode, chunks_per_document=1))).hits
            targets = [ids[name] for name in relevant]
            ranking = [frozenset(n for n, target in enumerate(targets) if target == hit.document_id) for hit in hits]
            each.append(measures_at(K, ranking, len(targets)))
        found[mode] = mean_of(each)
    return found


async def faithfulness(evaluating: Evaluating, call: Call, collection_id: UUID, ids: dict[str, UUID]) -> float | None:
    """Of answers to the first twenty questions, by the endpoint's own evaluation."""
    questions = [
        EvaluatedQuestion(question=question, relevant=[Target(document_id=ids[name]) for name in relevant])
        for question, relevant in QUESTIONS[:20]
    ]
    response = await evaluating.evaluate(call, collection_id, EvaluationRequest(questions=questions, answers=True))
    assert response.answers is not None
    return response.answers.faithfulness


async def measure(folder: Path) -> list[dict[str, Any]]:
    missing = {name for _, names in QUESTIONS for name in names} - topics.keys()
    assert not missing, missing
    pool = EnginePool(2, 64, EngineMetrics(CollectorRegistry()))
    settings = InferenceSettings(model_cache=folder / "models", principal_secret=b"")
    embedder, tenant_id = Embedder(MINILM, settings, pool, 2), uuid7()

    async def no_images(_call: Call, _data: bytes) -> list[str]:
        return []

    async def no_scans(_call: Call, _data: bytes, _pages: Sequence[int]) -> list[str]:
        return []

    extractor = Extractor(PdfReader(settings, pool), no_images, no_scans, pool, settings.document_text_bytes)
    async with started(folder / "postgres") as (database, _):
        collection_id, ids = await ingest(database, embedder, extractor, tenant_id)
        find, call = Search(database, embedder), call_of(tenant_id)
        found = await of_documents(find, call, collection_id, ids)
        evaluating = Evaluating(
            database, embedder, Answering(find, embedder, WrittenAnswers(embedder, Generating(None)))
        )
        faithful = await faithfulness(evaluating, call, collection_id, ids)
    pool.close()
    return rows(found, faithful)


def rows(found: dict[str, Measures], faithful: float | None) -> list[dict[str, Any]]:
    """One row a metric; hybrid search is held against its two legs."""
    dataset = f"Python language reference (pydoc topics), {len(QUESTIONS)} questions"
    made: list[dict[str, Any]] = []
    for metric, values in (
        (f"nDCG@{K}", {mode: each.ndcg for mode, each in found.items()}),
        (f"recall@{K}, no bar", {mode: each.recall for mode, each in found.items()}),
        (f"MRR@{K}, no bar", {mode: each.reciprocal_rank for mode, each in found.items()}),
    ):
        references = {mode: round(value, 4) for mode, value in values.items() if mode != "hybrid"}
        ours = round(values["hybrid"], 4)
        met = ours >= max(references.values()) if metric.startswith("nDCG") else True
        made.append(row("search", dataset, metric, ours, references, met))
    made.append(row("answer", dataset, "faithfulness", faithful or 0.0, {"exact quotation": 1.0}, faithful == 1))
    return made


def row(task: str, dataset: str, metric: str, ours: float, references: dict[str, float], met: bool) -> dict[str, Any]:
    return {"task": task, "dataset": dataset, "metric": metric, "ours": ours, "references": references, "met": met}


def run() -> list[dict[str, Any]]:
    """All figures."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(measure(Path(folder)))


if __name__ == "__main__":
    results = run()
    sys.stdout.writelines(f"{'ok    ' if each['met'] else 'MISSED'} {each}\n" for each in results)
    sys.exit(0 if all(each["met"] for each in results) else 1)
