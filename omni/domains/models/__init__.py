"""Models, the providers behind them, and the keys to these."""
