"""OpenAI, Azure OpenAI, and every server that speaks OpenAI's API."""
