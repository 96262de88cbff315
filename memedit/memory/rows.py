"""How events, states and vectors stand in the rows of the memory file.

SQLite notices a damaged page only where its structure suffers. A bit that flips inside a text or a
vector leaves a valid database that says something else, and that must not become an answer: events
and vectors have checksums, which are looked at whenever they are read.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path

import numpy as np

from memedit.edits import Edit, EditKind
from memedit.errors import MemoryFileError
from memedit.memory.encoding import Vectors
from memedit.memory.file_errors import describe
from memedit.memory.store import Action, Event
from memedit.memory.wordings import prompt_key

STORED_FLOAT = np.dtype("<f4")

EVENTS = "SELECT events.revision, action, edit_id, CAST(state AS BLOB), at, reverts, events.checksum FROM events"
"""Reads events as `EventRow`; the state in bytes, because as a text it would be decoded before it was checked."""
CURRENT = f"{EVENTS} JOIN edits ON edits.revision = events.revision"
"""Reads those events that hold the states of current edits."""

EventRow = tuple[int, str, str, bytes, str, int | None, int]
"""Revision, action, edit id, state as JSON, instant, revision that it reverts, checksum; as it is read."""
VECTORS = "SELECT edit_id, wording, checksum, vector FROM vectors"
"""Reads vectors as `VectorRow`."""
VectorRow = tuple[str, int, int, bytes]
"""Edit id, number of the wording, checksum, components."""
_BATCH_EDITS = 64
"""So few that their bytes stay in the processor's cache while they are read."""


def event_checksum(revision: int, action: str, edit_id: str, state: bytes, at: str, reverts: int | None) -> int:
    """CRC-32 over all that the row of an event says; part of the file's format, so it never changes."""
    return zlib.crc32(f"{revision} {action} {edit_id} {at} {reverts} ".encode() + state)


def event_row(event: Event) -> tuple[int, str, str, str, str, int | None, int]:
    """What is written of an event: an `EventRow`, but for the state, which is a text."""
    state, at = json.dumps(event.edit.to_dict()), event.at.isoformat()
    checksum = event_checksum(event.revision, event.action, event.edit.id, state.encode(), at, event.reverts)
    return event.revision, event.action.value, event.edit.id, state, at, event.reverts, checksum


def read_event(row: EventRow, path: Path | None) -> Event:
    """The event that a row tells of.

    Raises:
        MemoryFileError: It is not as it was written to the file at `path`.
    """
    revision, action, edit_id, state, at, reverts, checksum = row
    try:
        if event_checksum(revision, action, edit_id, state, at, reverts) == checksum:
            edit = Edit.from_dict(json.loads(state))
            return Event(revision, Action(action), edit, datetime.fromisoformat(at), reverts)
    except (ValueError, TypeError):
        pass
    # Without a cause, which may quote the text of the edit.
    raise MemoryFileError(
        f"{describe(path)} is damaged: event {revision} of edit {edit_id!r} is not as it was written; "
        "restore it from a backup"
    )


def state_row(edit: Edit) -> tuple[object, ...]:
    """What is written of a current edit beside its event, from its id on: by this it is found."""
    return (
        edit.id,
        edit.revision,
        edit.namespace,
        prompt_key(edit.prompt),
        edit.valid_from and edit.valid_from.isoformat(),
        edit.valid_until and edit.valid_until.isoformat(),
        len(edit.wordings),
        edit.subject and prompt_key(edit.subject),
        None if edit.kind is EditKind.ERASE else prompt_key(edit.target),
    )


def vector_rows(edit_id: str, vectors: Vectors) -> list[VectorRow]:
    """What is written of an edit's vectors: for each its wording, checksum and bytes."""
    blobs = [vector.astype(STORED_FLOAT, copy=False).tobytes() for vector in vectors]
    return [(edit_id, wording, zlib.crc32(blob), blob) for wording, blob in enumerate(blobs)]


def read_vectors(rows: Iterable[VectorRow], dimension: int) -> Iterator[tuple[str, Vectors | None]]:
    """The vectors of edits, float32 array (wordings, dimension); None where one is damaged or lacks.

    Those of many edits become one array at a time: they are most of what opening a memory reads.

    Args:
        rows: What `vector_rows` made, the rows of one edit beside each other; they may be too few.
        dimension: Components of a vector.
    """
    size, nothing = dimension * STORED_FLOAT.itemsize, bytes(dimension * STORED_FLOAT.itemsize)
    edits = ((edit_id, list(own)) for edit_id, own in groupby(rows, itemgetter(0)))
    while batch := list(islice(edits, _BATCH_EDITS)):
        is_right, blobs = list[bool](), list[bytes]()
        for _, own in batch:
            for place, (_, wording, checksum, blob) in enumerate(own):
                right = wording == place and len(blob) == size and zlib.crc32(blob) == checksum
                is_right.append(right)
                blobs.append(blob if right else nothing)
        flat = np.frombuffer(b"".join(blobs), dtype=STORED_FLOAT)
        vectors = flat.reshape(len(blobs), dimension).astype(np.float32, copy=False)
        start = 0
        for edit_id, own in batch:
            stop = start + len(own)
            yield edit_id, None if False in is_right[start:stop] else vectors[start:stop]
            start = stop
