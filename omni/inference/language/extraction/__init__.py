"""What a text says most: its keywords and its main sentences."""
