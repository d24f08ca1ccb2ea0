"""SQL of metering, a file per subject."""
