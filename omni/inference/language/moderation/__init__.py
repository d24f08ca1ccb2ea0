"""Moderation of English texts: a lexicon that sees through disguises, and the meaning of sentences."""
