"""Models: what is asked, which targets serve it, how they fare."""
