"""What a unit of each meter costs, and since when."""
