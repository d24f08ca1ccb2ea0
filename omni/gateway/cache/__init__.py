"""The response cache: what was answered before, given again to the same tenant."""
