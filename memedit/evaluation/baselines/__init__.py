"""Editing methods behind one protocol, so that they can be compared; each in a file of its own."""
