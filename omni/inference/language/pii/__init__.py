"""Personal data and secrets in texts: found by rules, redacted, restored."""
