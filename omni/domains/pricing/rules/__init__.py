"""Prices, rating, coupons, wallets and taxes as pure functions."""
