"""The bars as tests: short here, long in `tests/soak`. Each is seen red once, with a planted fault."""
