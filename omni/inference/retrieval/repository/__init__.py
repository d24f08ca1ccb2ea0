"""The SQL of retrieval. Every statement starts from the session's tenant."""
