"""The edit memory: a journal of edits in SQLite, and a FAISS index derived from it."""

from memedit.memory.edit_memory import EditMemory, Hit
from memedit.memory.encoding import TextEncoder
from memedit.memory.store import Action, EditStore, Event

__all__ = ["Action", "EditMemory", "EditStore", "Event", "Hit", "TextEncoder"]
