"""Jobs and events that commit with the data: a table, a relay to the task queue, and a record of what was done."""
