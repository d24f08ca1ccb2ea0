"""Vision: text in images."""
