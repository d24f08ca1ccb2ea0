"""Admit → settle: limits, holds, prices, usage events, and the spool for when Redis is away."""
