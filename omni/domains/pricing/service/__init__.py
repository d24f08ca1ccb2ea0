"""Use cases of the price book, a file each."""
