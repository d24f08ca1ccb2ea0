"""What a tenant stores in all, wherever it is."""
