"""Language: embeddings, sentiment, and everything that is done with the texts of a request."""
