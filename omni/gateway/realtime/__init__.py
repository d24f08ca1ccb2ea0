"""Realtime sessions: WebSockets passed between a client and a provider, counted on the way."""
