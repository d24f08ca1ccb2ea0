"""What is found together."""
