"""Ranking: rerank, search and similarity of texts that come with the request."""
