"""The refusals of retrieval."""

from __future__ import annotations

from omni.kit.errors import Conflict, InvalidInput, NotFound


def collection_not_found() -> NotFound:
    """Missing, or another tenant's: the two answer alike."""
    return NotFound("collection_not_found", "There is no such collection. List yours with GET /v1/collections.")


def collection_not_empty() -> Conflict:
    """Chunks and vectors of its documents were made by the settings that would change."""
    return Conflict(
        "collection_not_empty",
        "Only the name of a collection with documents can be changed. Delete its documents first, or create another "
        "collection and send them there.",
    )


def unsupported_embedding_model(available: str) -> InvalidInput:
    """Not a model that collections can be embedded with."""
    return InvalidInput(
        "unsupported_embedding_model",
        f"Collections are embedded with one of: {available}.",
        param="embedding_model",
        available=[available],
    )


def target_not_found(place: str) -> InvalidInput:
    """A question's target names what the collection does not have; `place` says which."""
    return InvalidInput(
        "target_not_found", f"{place} names a document or chunk that the collection does not have.", param=place
    )


def document_not_found() -> NotFound:
    """Missing, or in another collection or tenant."""
    return NotFound("document_not_found", "There is no such document in this collection.")


def document_name_taken() -> Conflict:
    """Another document of the collection has the name that was sent."""
    return Conflict(
        "document_name_taken",
        "Another document of the collection has this name. Replace that one, or send another name.",
    )


def document_changed() -> Conflict:
    """Others replaced the document again and again while this request prepared its own content."""
    return Conflict("document_changed", "Others are replacing this document at the same time. Send it again.")
