"""What a table holds, what is wrong with it, and whether another one is different."""
