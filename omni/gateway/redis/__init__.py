"""Redis: pipelined commands and scripts on one connection, pub/sub on another."""
