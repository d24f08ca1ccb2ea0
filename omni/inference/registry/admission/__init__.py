"""What an uploaded file is, decided by its content before anything loads it."""
