"""PDF files, read in a process of their own with hard limits, so that a hostile one kills only that."""
