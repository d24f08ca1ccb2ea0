"""Web pages: routes and templates by area, calling domain facades."""
