"""Language: embeddings and sentiment."""
