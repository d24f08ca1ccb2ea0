"""The way to backends and providers: connections and their pools."""
