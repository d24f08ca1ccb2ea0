"""Leaf library without business nouns."""
