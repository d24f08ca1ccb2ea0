"""How jobs that compute are asked for: above their kinds, which stand on `compute`."""
