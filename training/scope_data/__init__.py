"""Pairs to train the scope classifier on, made from public data."""
