"""What every engine runs on: a bounded pool, a meter, lazy loading."""
