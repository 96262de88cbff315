"""What memedit costs, measured."""
