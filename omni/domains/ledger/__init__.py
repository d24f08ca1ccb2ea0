"""The double-entry books: what happened to money, append-only."""
