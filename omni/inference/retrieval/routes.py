"""Routes of the retrieval endpoints."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.retrieval.evaluation_schemas import EvaluationRequest, EvaluationResponse
from omni.inference.retrieval.ingest import Sent
from omni.inference.retrieval.question_schemas import AnswerRequest, AnswerResponse, SearchRequest, SearchResponse
from omni.inference.retrieval.schemas import (
    Collection,
    CollectionChange,
    CollectionList,
    CollectionRequest,
    Document,
    DocumentList,
    DocumentRequest,
    IngestedDocument,
    MetadataForm,
)
from omni.inference.retrieval.service import RetrievalService
from omni.inference.runtime.call import Call
from omni.inference.uploads import (
    file_name,
    media_type,
    multipart_or_json,
    read_fields,
    read_json,
    read_upload,
    unsupported,
)

METADATA_FIELD = MetadataForm.model_json_schema()["properties"]["metadata"]
"""JSON, also in a form."""
Limit = Annotated[int, Query(ge=1, le=100, description="Most entries of a page.")]
Cursor = Annotated[UUID | None, Query(description="`next_cursor` of the page before.")]


def router(service: RetrievalService, caller: CallerDependency) -> APIRouter:
    """Everything below `/v1/collections`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Retrieval"], prefix="/v1/collections")
    _collections(routes, service, caller)
    _documents(routes, service, caller)
    _questions(routes, service, caller)
    return routes


def _collections(routes: APIRouter, service: RetrievalService, caller: CallerDependency) -> None:
    @routes.post("", summary="Create a collection", status_code=201)
    async def create_collection(body: CollectionRequest, call: Call = Depends(caller)) -> Collection:
        """A new, empty collection. Names need not be unique."""
        return await service.create_collection(call, body)

    @routes.get("", summary="List collections")
    async def list_collections(
        limit: Limit = 20, cursor: Cursor = None, call: Call = Depends(caller)
    ) -> CollectionList:
        """Your collections, newest first, page by page."""
        return await service.list_collections(call, limit, cursor)

    @routes.get("/{collection_id}", summary="Look up a collection")
    async def get_collection(collection_id: UUID, call: Call = Depends(caller)) -> Collection:
        """One collection with its totals."""
        return await service.get_collection(call, collection_id)

    @routes.patch("/{collection_id}", summary="Change a collection")
    async def change_collection(
        collection_id: UUID, body: CollectionChange, call: Call = Depends(caller)
    ) -> Collection:
        """Another name, at any time; other settings only while the collection has no documents, because these were cut,
        embedded and stemmed by them. To index documents anew, create another collection and send them there.
        """
        return await service.change_collection(call, collection_id, body)

    @routes.delete("/{collection_id}", summary="Delete a collection", status_code=204)
    async def delete_collection(collection_id: UUID, call: Call = Depends(caller)) -> None:
        """Delete a collection with all its documents, for good."""
        await service.delete_collection(call, collection_id)


def _documents(routes: APIRouter, service: RetrievalService, caller: CallerDependency) -> None:
    @routes.post(
        "/{collection_id}/documents",
        summary="Add a document, or replace the one of its name",
        status_code=201,
        responses={
            200: {"model": IngestedDocument, "description": "The collection already had a document of this name."}
        },
        openapi_extra=multipart_or_json(DocumentRequest, {"metadata": METADATA_FIELD}),
    )
    async def add_document(
        collection_id: UUID, request: Request, response: Response, call: Call = Depends(caller)
    ) -> IngestedDocument:
        """Extract, cut, embed and index a txt, md, html, csv, docx or pdf file or an image of at most 20 MiB and 5 MiB
        of text; a PDF file of at most 2,000 pages, an image of 20.

        Send the file as multipart form (field `file`) or text as JSON. All or nothing: a request that fails stores
        nothing. A document of the same name is replaced as by `PUT`. Each page of a PDF file, and each that is read in
        an image, counts as one on the meter `pages`.
        """
        document = await service.put_document(call, await _sent(request, collection_id, None))
        response.status_code = 201 if document.outcome == "created" else 200
        return document

    @routes.put(
        "/{collection_id}/documents/{document_id}",
        summary="Replace a document",
        openapi_extra=multipart_or_json(DocumentRequest, {"metadata": METADATA_FIELD}),
    )
    async def replace_document(
        collection_id: UUID, document_id: UUID, request: Request, call: Call = Depends(caller)
    ) -> IngestedDocument:
        """Give a document another content, and the name that is sent with it; its id stays.

        The same content (by SHA-256) under the same name and type changes nothing and is charged as a request only. Of
        another content only those chunks are embedded, and charged, whose text the document does not have yet. Whoever
        searches meanwhile sees the old document or the new one, never parts of both.
        """
        return await service.put_document(call, await _sent(request, collection_id, document_id))

    @routes.get("/{collection_id}/documents", summary="List documents")
    async def list_documents(
        collection_id: UUID, limit: Limit = 20, cursor: Cursor = None, call: Call = Depends(caller)
    ) -> DocumentList:
        """The documents of a collection, newest first, page by page."""
        return await service.list_documents(call, collection_id, limit, cursor)

    @routes.get("/{collection_id}/documents/{document_id}", summary="Look up a document")
    async def get_document(
        collection_id: UUID,
        document_id: UUID,
        include: Annotated[Literal["text"] | None, Query(description="`text`: with the extracted text.")] = None,
        call: Call = Depends(caller),
    ) -> Document:
        """One document, with its text when asked for."""
        return await service.get_document(call, collection_id, document_id, include == "text")

    @routes.delete("/{collection_id}/documents/{document_id}", summary="Delete a document", status_code=204)
    async def delete_document(collection_id: UUID, document_id: UUID, call: Call = Depends(caller)) -> None:
        """Delete a document from every index, for good."""
        await service.delete_document(call, collection_id, document_id)


async def _sent(request: Request, collection_id: UUID, document_id: UUID | None) -> Sent:
    """The document in a request's body, of either content type."""
    match media_type(request):
        case "multipart/form-data":
            upload = await read_upload(request)
            form = read_fields(upload, MetadataForm) if "metadata" in upload.fields else MetadataForm(metadata=None)
            return Sent(
                collection_id, document_id, file_name(upload.name), upload.content_type, upload.data, form.metadata
            )
        case "application/json":
            body = await read_json(request, DocumentRequest)
            text = body.text.encode("utf-8")
            return Sent(collection_id, document_id, body.name, body.content_type, text, body.metadata)
        case _:
            raise unsupported("multipart/form-data or application/json")


def _questions(routes: APIRouter, service: RetrievalService, caller: CallerDependency) -> None:
    @routes.post("/{collection_id}/search", summary="Search a collection")
    async def search(collection_id: UUID, body: SearchRequest, call: Call = Depends(caller)) -> SearchResponse:
        """Chunks by meaning, by words, or by both, each with its place in the document and the score of each leg."""
        return await service.search(call, collection_id, body)

    @routes.post("/{collection_id}/answer", summary="Answer from a collection")
    async def answer(collection_id: UUID, body: AnswerRequest, call: Call = Depends(caller)) -> AnswerResponse:
        """Sentences of the documents that answer the question, each cited to the character; `found: false` when none
        does. A question that goes on from `history` is searched for with words of it. With `model`, a chat model
        writes the answer, and each of its statements is cited or left out.
        """
        return await service.answer(call, collection_id, body)

    @routes.post("/{collection_id}/evaluate", summary="Evaluate a collection")
    async def evaluate(
        collection_id: UUID, body: EvaluationRequest, call: Call = Depends(caller)
    ) -> EvaluationResponse:
        """Recall, precision, MRR and nDCG at k of each mode, side by side, over questions whose relevant documents,
        chunks or quotes you name; with `answers`, also how many are answered, how many answers cite what is relevant,
        and how faithful they are to what they cite. At most 50 questions, 20 with answers; nothing is stored.
        """
        return await service.evaluate(call, collection_id, body)
