"""What was used: events, meters, rollups."""
