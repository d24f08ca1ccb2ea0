"""The `omni` command: a module per command, loaded only when it is called."""
