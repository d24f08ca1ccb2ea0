"""Fakes and factories, shipped beside the ports they stand in for."""
