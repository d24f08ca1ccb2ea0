"""How a text is written: spelling and readability."""
