"""Recipes that make every file under `checkpoints`, one command each."""
