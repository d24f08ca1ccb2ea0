"""What metering decides, without I/O, a file per subject."""
