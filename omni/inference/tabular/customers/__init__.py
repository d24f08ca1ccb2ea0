"""What customers are still worth."""
