"""The edit memory: a journal of edits in SQLite, and a FAISS index derived from it."""

from memedit.memory.contradictions import Contradiction, ContradictionError, SameFact
from memedit.memory.edit_memory import EditMemory, Hit
from memedit.memory.encoding import TextEncoder
from memedit.memory.journal import Journal
from memedit.memory.links import Links
from memedit.memory.ram import RamStore
from memedit.memory.store import Action, EditStore, Event
from memedit.memory.views import Difference, MemoryView

__all__ = [
    "Action",
    "Contradiction",
    "ContradictionError",
    "Difference",
    "EditMemory",
    "EditStore",
    "Event",
    "Hit",
    "Journal",
    "Links",
    "MemoryView",
    "RamStore",
    "SameFact",
    "TextEncoder",
]
