"""Jobs that compute: priced before they begin, worked on in slices by the backend, charged slice by slice."""
