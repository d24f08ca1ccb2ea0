"""`omni up`: every process of the platform on one machine, started in order, kept alive, stopped in order."""
