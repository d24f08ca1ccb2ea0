"""The public door: HTTP/1.1 with clients, routes, errors, pages without a key, the operators' port."""
