"""The data plane: authenticate, admit, route, forward, settle."""
