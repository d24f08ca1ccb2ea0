"""Jobs that compute."""
