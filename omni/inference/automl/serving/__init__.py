"""What an artifact holds and how it answers, in numpy and LightGBM alone."""
