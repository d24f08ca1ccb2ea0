"""What adapters share: OpenAI's chat format as the pivot between all others, and server-sent events."""
