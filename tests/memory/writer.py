"""Adds edits to the memory named on the command line until it is killed, naming each when stored.

Run as `python -m tests.memory.writer FILE NAME`.
"""

from __future__ import annotations

import sys
from itertools import count

from memedit.memory import EditMemory
from tests.memory.hashing import HashingEncoder

with EditMemory(sys.argv[1], HashingEncoder()) as memory:
    for number in count():
        prompt = f"{sys.argv[2]} {number}"
        memory.add_many([{"prompt": f"{prompt} {part}", "target": "t"} for part in "ab"])
        sys.stdout.write(f"{prompt}\n")
        sys.stdout.flush()
