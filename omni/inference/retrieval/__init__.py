"""Retrieval: collections of documents, search in them, answers from them."""
