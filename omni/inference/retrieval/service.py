"""What the retrieval endpoints do."""

from __future__ import annotations

from uuid import UUID

from omni.foundation.db.sessions import Database
from omni.inference.language.models import EmbeddingModel
from omni.inference.retrieval.answering import Answering
from omni.inference.retrieval.errors import (
    collection_not_empty,
    collection_not_found,
    document_not_found,
    unsupported_embedding_model,
)
from omni.inference.retrieval.evaluating import Evaluating
from omni.inference.retrieval.evaluation_schemas import EvaluationRequest, EvaluationResponse
from omni.inference.retrieval.filtering import read_filter
from omni.inference.retrieval.ingest import Ingest, Sent
from omni.inference.retrieval.question_schemas import AnswerRequest, AnswerResponse, SearchRequest, SearchResponse
from omni.inference.retrieval.repository import collections, documents
from omni.inference.retrieval.schemas import (
    Collection,
    CollectionChange,
    CollectionList,
    CollectionRequest,
    Document,
    DocumentList,
    IngestedDocument,
)
from omni.inference.retrieval.search import Search, Wanted
from omni.inference.runtime.call import Call
from omni.inference.storage.repository import lock_storage


class RetrievalService:
    """Collections, documents, search and answers of the calling tenant. What belongs to another tenant is not found."""

    def __init__(
        self,
        database: Database,
        model: EmbeddingModel,
        ingest: Ingest,
        search: Search,
        answering: Answering,
        evaluating: Evaluating,
    ) -> None:
        self._database = database
        self._model = model
        self._ingest = ingest
        self._search = search
        self._answering = answering
        self._evaluating = evaluating

    async def create_collection(self, call: Call, request: CollectionRequest) -> Collection:
        """A new, empty collection. Raises InvalidInput `unsupported_embedding_model`."""
        self._check_model(request.embedding_model)
        async with self._database.write(call.principal.tenant_id) as session:
            return await collections.add(session, request)

    async def change_collection(self, call: Call, collection_id: UUID, change: CollectionChange) -> Collection:
        """The collection as it is then. What its documents were indexed by stays as long as there are any.

        Raises NotFound `collection_not_found`, InvalidInput `unsupported_embedding_model`, Conflict
        `collection_not_empty`.
        """
        changes = change.model_dump(exclude_none=True)
        if change.embedding_model is not None:
            self._check_model(change.embedding_model)
        async with self._database.write(call.principal.tenant_id) as session:
            await lock_storage(session)
            found = await collections.find(session, collection_id)
            if found is None:
                raise collection_not_found()
            changed = found.model_copy(update={name: getattr(change, name) for name in changes})
            if found.document_count and changed.settings() != found.settings():
                raise collection_not_empty()
            if changes:
                await collections.change(session, collection_id, changes)
            return await collections.find(session, collection_id) or found

    def _check_model(self, name: str) -> None:
        if name != self._model.name:
            raise unsupported_embedding_model(self._model.name)

    async def list_collections(self, call: Call, limit: int, cursor: UUID | None) -> CollectionList:
        """One page of collections, newest first."""
        async with self._database.read(call.principal.tenant_id) as session:
            found = await collections.page(session, limit + 1, cursor)
        more = found[limit - 1].id if len(found) > limit else None
        return CollectionList(data=found[:limit], next_cursor=more)

    async def get_collection(self, call: Call, collection_id: UUID) -> Collection:
        """Raises NotFound `collection_not_found`."""
        async with self._database.read(call.principal.tenant_id) as session:
            found = await collections.find(session, collection_id)
        if found is None:
            raise collection_not_found()
        return found

    async def delete_collection(self, call: Call, collection_id: UUID) -> None:
        """Delete it with all its documents. Raises NotFound `collection_not_found`."""
        async with self._database.write(call.principal.tenant_id) as session:
            if not await collections.remove(session, collection_id):
                raise collection_not_found()

    async def put_document(self, call: Call, sent: Sent) -> IngestedDocument:
        """The stored document, and what became of it. Raises what Ingest.put raises."""
        return await self._ingest.put(call, sent)

    async def list_documents(self, call: Call, collection_id: UUID, limit: int, cursor: UUID | None) -> DocumentList:
        """One page of a collection's documents, newest first. Raises NotFound `collection_not_found`."""
        async with self._database.read(call.principal.tenant_id) as session:
            if await collections.find(session, collection_id) is None:
                raise collection_not_found()
            found = await documents.page(session, collection_id, limit + 1, cursor)
        more = found[limit - 1].id if len(found) > limit else None
        return DocumentList(data=found[:limit], next_cursor=more)

    async def get_document(self, call: Call, collection_id: UUID, document_id: UUID, with_text: bool) -> Document:
        """Raises NotFound `collection_not_found` or `document_not_found`."""
        async with self._database.read(call.principal.tenant_id) as session:
            if await collections.find(session, collection_id) is None:
                raise collection_not_found()
            found = await documents.find(session, collection_id, document_id, with_text)
        if found is None:
            raise document_not_found()
        return found

    async def delete_document(self, call: Call, collection_id: UUID, document_id: UUID) -> None:
        """Raises NotFound `collection_not_found` or `document_not_found`."""
        async with self._database.write(call.principal.tenant_id) as session:
            if not await collections.count(session, collection_id, 0, 0, 0):
                raise collection_not_found()
            found = await documents.find(session, collection_id, document_id)
            if found is None:
                raise document_not_found()
            await documents.remove(session, found)
            await collections.count(session, collection_id, -1, -found.chunk_count, -found.stored_bytes)

    async def search(self, call: Call, collection_id: UUID, request: SearchRequest) -> SearchResponse:
        """The best chunks. Raises InvalidInput `invalid_filter` and what Search.find raises."""
        wanted = Wanted(
            query=request.query,
            top_k=request.top_k,
            mode=request.mode,
            where=None if request.filter is None else read_filter(request.filter),
            rerank=request.rerank,
            min_score=request.min_score,
            mmr_balance=None if request.mmr is None else request.mmr.balance,
            chunks_per_document=request.chunks_per_document if request.group_by else None,
        )
        found = await self._search.find(call, collection_id, wanted)
        embeds = request.mode != "lexical" or request.rerank
        return SearchResponse(
            results=found.hits,
            groups=found.groups,
            mode=request.mode,
            embedding_model=found.collection.embedding_model if embeds else None,
        )

    async def evaluate(self, call: Call, collection_id: UUID, request: EvaluationRequest) -> EvaluationResponse:
        """How good search and answers are. Raises what Evaluating.evaluate raises."""
        return await self._evaluating.evaluate(call, collection_id, request)

    async def answer(self, call: Call, collection_id: UUID, request: AnswerRequest) -> AnswerResponse:
        """Cited sentences. Raises what Search.find raises."""
        return await self._answering.answer(call, collection_id, request)
