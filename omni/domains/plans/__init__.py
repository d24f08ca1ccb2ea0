"""What a tenant may use: plans and their limits."""
