"""What a tenant owes: the draft invoice."""
