"""The command line: one file per command or group of commands."""

from memedit.cli.app import app, main

__all__ = ["app", "main"]
