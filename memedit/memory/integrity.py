"""What is wrong with a memory file, and putting right what can be derived again."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from typing import Any

from memedit.errors import MemoryFileError
from memedit.memory.encoding import TextEncoder
from memedit.memory.file_errors import translated_errors
from memedit.memory.opening import complete_vectors, prepare
from memedit.memory.rows import CURRENT, EVENTS, VECTORS, EventRow, read_event, read_vectors, state_row
from memedit.memory.sqlite import SQLiteStore
from memedit.memory.store import GONE, Action, EncoderStamp, Event

_NAMED = 3
"""How many edits a fault names; it gives the number of all."""
_ORPHANS = "FROM vectors WHERE NOT EXISTS (SELECT 1 FROM edits WHERE id = edit_id AND wording < wordings)"


class Part(StrEnum):
    """The parts of a memory file; all but the first two are derived from the journal."""

    FILE = "file"
    JOURNAL = "journal"
    STATE = "state"
    VECTORS = "vectors"
    ENCODER = "encoder"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as it should be.

    Attributes:
        part: Where.
        message: What, in one sentence, without any text of an edit.
        is_repairable: Whether `repair` can put it right.
    """

    part: Part
    message: str
    is_repairable: bool


@dataclass(frozen=True, slots=True)
class Checkup:
    """What `check` found.

    Attributes:
        edits: Number of current edits.
        events: Number of events in the journal.
        vectors: Number of stored vectors.
        encoder: Who made them; None if that is not noted.
        faults: What is wrong; empty for a memory in good health.
    """

    edits: int = 0
    events: int = 0
    vectors: int = 0
    encoder: EncoderStamp | None = None
    faults: list[Fault] = field(default_factory=list)


def check(store: SQLiteStore, encoder: TextEncoder | None = None) -> Checkup:
    """Look at every page, event, state and vector of a memory file; nothing is changed.

    Args:
        store: The file, opened without an `EditMemory`, which would repair some of it.
        encoder: The encoder that is to be used with it; None to leave that question out.

    Raises:
        MemoryFileError: The file cannot be read.
    """
    with store.snapshot(), _any_text(store):
        faults = _file_faults(store)
        if any(not fault.is_repairable for fault in faults):
            return Checkup(faults=faults)
        faults += _journal_faults(store)
        if wrong := _wrong_states(store):
            faults.append(Fault(Part.STATE, f"{_edits(wrong)} not in the state that the journal tells", True))
        faults += _vector_faults(store)
        faults += _encoder_faults(store, encoder)
        return Checkup(
            edits=store.count(),
            events=_number(store, "SELECT count(*) FROM events"),
            vectors=_number(store, "SELECT count(*) FROM vectors"),
            encoder=store.encoder,
            faults=faults,
        )


def repair(store: SQLiteStore, encoder: TextEncoder) -> None:
    """Derive again what `check` finds wrong and repairable.

    Vectors of another encoder are left as they are: nothing is wrong with them, and opening the
    memory with `reencode=True` replaces them. Vectors of nobody knows whose are computed again.

    Raises:
        MemoryFileError: The file cannot be written, or is damaged beyond what is derived.
    """
    with translated_errors(store.path):
        store._open_connection.execute("REINDEX")
    with store.transaction(), translated_errors(store.path), _any_text(store):
        # Not by their ids: they may be no text any more.
        store._open_connection.execute("DELETE FROM edits WHERE id NOT IN (SELECT edit_id FROM events)")
        store.rebuild(_wrong_states(store))
        store._open_connection.execute(f"DELETE {_ORPHANS}")
    if not _is_foreign(store, encoder):
        prepare(store, encoder, reencode=store.encoder is None)
        complete_vectors(store, encoder, _lacking(store))


def _file_faults(store: SQLiteStore) -> list[Fault]:
    found = [text for (text,) in _each(store, "PRAGMA integrity_check")]
    if found == ["ok"]:
        return []
    # What SQLite says of an index is about something derived as well; of a table it is final.
    is_repairable = all(" index " in text for text in found)
    advice = "" if is_repairable else "; restore it from a backup"
    message = f"SQLite finds the file damaged ({len(found)} findings: {found[0]}){advice}"
    return [Fault(Part.FILE, message, is_repairable)]


def _journal_faults(store: SQLiteStore) -> list[Fault]:
    unreadable, impossible = [], []
    rows = _each(store, f"{EVENTS} ORDER BY edit_id, revision")
    for edit_id, told in groupby(rows, lambda row: row[2]):
        events = [_read(row, store) for row in told]
        readable = [event for event in events if event is not None]
        if len(readable) < len(events):
            unreadable.append(edit_id)
        elif not _is_possible([event.action for event in readable]):
            impossible.append(edit_id)
    return [
        Fault(Part.JOURNAL, f"{_edits(edit_ids)} told of in events that {problem}", False)
        for edit_ids, problem in (
            (unreadable, "are not as they were written"),
            (impossible, "cannot follow each other"),
        )
        if edit_ids
    ]


def _is_possible(actions: list[Action]) -> bool:
    is_current = False
    for number, action in enumerate(actions):
        if action in (Action.ADDED, Action.RESTORED):
            is_right = not is_current and (action is Action.RESTORED) == (number > 0)
        else:
            is_right = is_current or action is Action.PURGED
        if not is_right or (number and actions[number - 1] is Action.PURGED):
            return False
        is_current = action not in GONE
    return True


def _wrong_states(store: SQLiteStore) -> set[str]:
    """Ids of the edits that are not found by what the journal tells of them, or in another state."""
    wrong = store.disagreeing()
    stored = _each(
        store,
        "SELECT edits.*, (SELECT min(revision) FROM events WHERE edit_id = edits.id) "
        "FROM edits JOIN events ON events.revision = edits.revision ORDER BY ordinal",
    )
    for (ordinal, *columns, first), told in zip(stored, _each(store, f"{CURRENT} ORDER BY ordinal"), strict=True):
        event = _read(told, store)
        if event is not None and (ordinal, *columns) != (first, *state_row(event.edit)):
            wrong.add(columns[0])
    return wrong


def _vector_faults(store: SQLiteStore) -> list[Fault]:
    faults = []
    if damaged := _lacking(store):
        faults.append(Fault(Part.VECTORS, f"{_edits(damaged)} without vectors, or with damaged ones", True))
    if orphans := _number(store, f"SELECT count(*) {_ORPHANS}"):
        faults.append(Fault(Part.VECTORS, f"{orphans} vectors belong to no wording of an edit", True))
    return faults


def _lacking(store: SQLiteStore) -> list[str]:
    stamp = store.encoder
    left = dict(_each(store, "SELECT id, wordings FROM edits"))
    # In the order of the file, in which those of one edit lie together.
    rows = _each(store, f"{VECTORS} ORDER BY rowid")
    for edit_id, vectors in read_vectors(rows, stamp.dimension if stamp else 0):
        if vectors is not None and left.get(edit_id) == len(vectors):
            del left[edit_id]
    return list(left)


def _encoder_faults(store: SQLiteStore, encoder: TextEncoder | None) -> list[Fault]:
    if encoder is None or not store.count():
        return []
    stamp = store.encoder
    if stamp is None:
        return [Fault(Part.ENCODER, "it is not noted which encoder made the vectors", True)]
    if _is_foreign(store, encoder):
        return [
            Fault(
                Part.ENCODER,
                f"the vectors were made with encoder {stamp.id!r} ({stamp.dimension} dimensions), "
                f"but this one is {encoder.id!r} ({encoder.dimension})",
                False,
            )
        ]
    return []


def _is_foreign(store: SQLiteStore, encoder: TextEncoder) -> bool:
    stamp = store.encoder
    return stamp is not None and store.count() > 0 and stamp != EncoderStamp(encoder.id, encoder.dimension)


def _read(row: EventRow, store: SQLiteStore) -> Event | None:
    """The event that a row tells of; None if it is not as it was written."""
    try:
        event = read_event(row, store.path)
    except MemoryFileError:
        return None
    is_right = event.edit.id == row[2] and (event.action in GONE or event.edit.revision == event.revision)
    return event if is_right else None


@contextmanager
def _any_text(store: SQLiteStore) -> Iterator[None]:
    """Inside, what is no UTF-8 any more is read as a text that equals none, and is no error."""
    connection = store._open_connection
    connection.text_factory = lambda data: data.decode(errors="surrogateescape")
    try:
        yield
    finally:
        connection.text_factory = str


def _each(store: SQLiteStore, statement: str) -> Iterator[Any]:
    with translated_errors(store.path), closing(store._open_connection.cursor()) as cursor:
        yield from cursor.execute(statement)


def _number(store: SQLiteStore, statement: str) -> int:
    [(number,)] = _each(store, statement)
    return int(number)


def _edits(edit_ids: Collection[str]) -> str:
    """How many edits, and which the first of them are, with the verb."""
    named = ", ".join(name.encode(errors="backslashreplace").decode() for name in sorted(edit_ids)[:_NAMED])
    more = ", …" if len(edit_ids) > _NAMED else ""
    return f"{len(edit_ids)} edit{' is' if len(edit_ids) == 1 else 's are'} ({named}{more})"
