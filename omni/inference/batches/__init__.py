"""Batches: a file of requests that are made for a tenant at half the price, in OpenAI's shape."""
