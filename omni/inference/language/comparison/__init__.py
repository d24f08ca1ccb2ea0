"""What changed between two texts, by meaning."""
