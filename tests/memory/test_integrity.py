from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from memedit.errors import MemoryFileError
from memedit.memory import EditMemory
from memedit.memory.integrity import Part, check, repair
from memedit.memory.sqlite import SQLiteStore
from tests.memory.damage import run_sql
from tests.memory.hashing import HashingEncoder


@pytest.fixture
def filled(path: Path, hashing: HashingEncoder) -> Path:
    """A closed memory file in which something of every kind has happened."""
    with EditMemory(path, hashing) as memory:
        edits = memory.add_many({"prompt": f"red fish {n}", "target": str(n), "aliases": ["a"]} for n in range(8))
        memory.update(edits[0].id, target="new", namespace="other")
        memory.remove(edits[1].id)
        memory.remove(edits[2].id)
        memory.purge(edits[2].id)
        memory.purge(edits[3].id)
        memory.undo(2)
        memory.clear("other")
        memory.undo()
    return path


@pytest.fixture
def store(filled: Path) -> Iterator[SQLiteStore]:
    """The file as the checks want it: opened without repairing anything."""
    opened = SQLiteStore(filled)
    yield opened
    opened.close()


def state(path: Path, encoder: HashingEncoder) -> object:
    """What a user sees of a memory."""
    with EditMemory(path, encoder) as memory:
        return memory.list(), memory.search(encoder.encode(["red fish 5", "a"]), 9)


def told(path: Path, encoder: HashingEncoder) -> list[str]:
    """What opening and checking a file say against it."""
    try:
        with closing(SQLiteStore(path)) as store:
            return [fault.message for fault in check(store, encoder).faults]
    except MemoryFileError as error:
        return [str(error)]


def test_a_memory_in_good_health_has_no_faults(store: SQLiteStore, hashing: HashingEncoder) -> None:
    """After every kind of change nothing is found, and everything is counted."""
    found = check(store, hashing)
    assert found.faults == []
    assert (found.edits, found.vectors) == (5, 10)
    assert found.events == store.revision
    assert found.encoder.id == hashing.id


def test_a_backup_has_no_faults(store: SQLiteStore, path: Path, hashing: HashingEncoder) -> None:
    """A backup is as healthy as what it is a copy of."""
    store.backup(path.with_name("copy.db"))
    copy = SQLiteStore(path.with_name("copy.db"))
    assert check(copy, hashing).faults == []
    copy.close()


@pytest.mark.parametrize(
    ("damage", "part", "message"),
    [
        ("DELETE FROM vectors WHERE wording = 1", Part.VECTORS, "5 edits are .* without vectors"),
        ("UPDATE vectors SET vector = zeroblob(length(vector))", Part.VECTORS, "or with damaged ones"),
        (
            "INSERT INTO vectors VALUES ('ghost', 0, 0, x'00')",
            Part.VECTORS,
            "1 vectors belong to no wording of an edit",
        ),
        (
            "INSERT INTO vectors SELECT edit_id, 7, checksum, vector FROM vectors WHERE wording = 0",
            Part.VECTORS,
            "5 vectors belong to no wording",
        ),
        ("UPDATE edits SET revision = revision - 1 WHERE ordinal = 5", Part.STATE, "1 edit is .* not in the state"),
        ("UPDATE edits SET target_key = 'leaked' WHERE ordinal = 5", Part.STATE, "1 edit is"),
        ("UPDATE edits SET namespace = 'leaked' WHERE ordinal = 5", Part.STATE, "1 edit is"),
        ("UPDATE edits SET valid_until = '2001-01-01T00:00:00+00:00'", Part.STATE, "5 edits are"),
        ("UPDATE edits SET prompt_key = prompt_key || 'x'", Part.STATE, "5 edits are"),
        ("UPDATE edits SET wordings = 1", Part.STATE, "5 edits are"),
        ("UPDATE edits SET ordinal = ordinal + 100", Part.STATE, "5 edits are"),
        ("DELETE FROM edits WHERE ordinal = 5", Part.STATE, "1 edit is"),
        ("UPDATE edits SET valid_until = '202y-01-01T00:00:00+00:00' WHERE ordinal = 5", Part.STATE, "1 edit is"),
        ("UPDATE edits SET valid_from = x'00'", Part.STATE, "5 edits are"),
        ("UPDATE edits SET namespace = CAST(x'e46566' AS TEXT) WHERE ordinal = 5", Part.STATE, "1 edit is"),
        ("UPDATE edits SET target_key = CAST(x'e46566' AS TEXT) WHERE ordinal = 5", Part.STATE, "1 edit is"),
        ("UPDATE edits SET id = CAST(x'e46566' AS TEXT) WHERE ordinal = 5", Part.STATE, r"2 edits are .*\\udce4ef"),
        (
            "UPDATE vectors SET edit_id = CAST(x'e46566' AS TEXT) WHERE rowid = 1",
            Part.VECTORS,
            "1 vectors belong to no",
        ),
        ("UPDATE meta SET name = 'encoder_ie' WHERE name = 'encoder_id'", Part.ENCODER, "not noted which encoder"),
        ("DELETE FROM meta", Part.ENCODER, "not noted which encoder"),
    ],
)
def test_what_is_derived_is_found_and_repaired(
    filled: Path, hashing: HashingEncoder, damage: str, part: Part, message: str
) -> None:
    """Each damage to derived data is found by the check alone, and repairing brings back what was there."""
    before = state(filled, hashing)
    run_sql(filled, damage)
    store = SQLiteStore(filled)
    for _ in range(2):
        [*_, fault] = [fault for fault in check(store, hashing).faults if fault.part == part]
        assert fault.is_repairable
        assert re.search(message, fault.message)
    repair(store, hashing)
    assert check(store, hashing).faults == []
    store.close()
    assert state(filled, hashing) == before


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE edits SET valid_until = '202y-01-01T00:00:00+00:00' WHERE ordinal = 5",
        "UPDATE edits SET valid_from = x'00'",
        "UPDATE edits SET namespace = CAST(x'e46566' AS TEXT) WHERE ordinal = 5",
        "UPDATE edits SET id = CAST(x'e46566' AS TEXT) WHERE ordinal = 5",
        "UPDATE meta SET name = 'encoder_ie' WHERE name = 'encoder_id'",
        "DELETE FROM meta",
    ],
)
def test_a_file_that_a_repair_puts_right_says_so(filled: Path, hashing: HashingEncoder, damage: str) -> None:
    """What keeps a memory from being opened although it can be derived again is an error that names the cure."""
    run_sql(filled, damage)
    with pytest.raises(MemoryFileError, match="memedit doctor") as caught:
        EditMemory(filled, hashing)
    assert "fish" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("count", ["1", "9", "'x'"])
def test_opening_takes_the_number_of_wordings_from_the_journal(
    filled: Path, hashing: HashingEncoder, count: str
) -> None:
    """No alias is lost where the file says that an edit has fewer or more wordings than it has."""
    before = state(filled, hashing)
    run_sql(filled, f"UPDATE edits SET wordings = {count}")
    assert state(filled, hashing) == before
    assert told(filled, hashing) == []


def test_a_broken_database_index_is_made_anew(filled: Path, hashing: HashingEncoder) -> None:
    """Where SQLite's own index lacks an entry, the table is believed and the index made anew."""
    run_sql(
        filled,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = 'CREATE INDEX events_of_edit ON events (edit_id, at)' "
        "WHERE name = 'events_of_edit'",
    )
    store = SQLiteStore(filled)
    fault = check(store, hashing).faults[0]
    assert (fault.part, fault.is_repairable) == (Part.FILE, True)
    assert "index events_of_edit" in fault.message
    repair(store, hashing)
    assert check(store, hashing).faults == []
    store.close()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("UPDATE events SET state = substr(state, 1, 40) WHERE revision = 5", "1 edit is .* not as they were written"),
        ("UPDATE events SET state = replace(state, 'fish 5', 'fish 6')", "1 edit is .* not as they were written"),
        ("UPDATE events SET state = CAST(x'FF' || state AS TEXT) WHERE revision = 5", "1 edit is"),
        ("UPDATE events SET action = 'removed' WHERE revision = 9", "not as they were written"),
        (
            "UPDATE events SET reverts = NULL WHERE reverts = (SELECT max(reverts) FROM events)",
            "not as they were written",
        ),
        ("UPDATE events SET at = replace(at, 'T', ' ') WHERE revision = 7", "not as they were written"),
        ("UPDATE events SET checksum = checksum + 1 WHERE revision = 7", "not as they were written"),
        ("DELETE FROM events WHERE revision = 1", "cannot follow each other"),
    ],
)
def test_a_damaged_journal_is_told_and_cannot_be_repaired(
    filled: Path, hashing: HashingEncoder, damage: str, message: str
) -> None:
    """Nothing stands behind the journal: what it has lost is said, never made up."""
    run_sql(filled, damage)
    store = SQLiteStore(filled)
    faults = [fault for fault in check(store, hashing).faults if fault.part == Part.JOURNAL]
    assert len(faults) == 1
    assert not faults[0].is_repairable
    assert re.search(message, faults[0].message)
    store.close()


def test_another_encoder_is_told_and_its_vectors_stay(store: SQLiteStore) -> None:
    """Vectors of another encoder are no damage: named, and not replaced by a repair."""
    other = HashingEncoder(dimension=16)
    [fault] = check(store, other).faults
    assert (fault.part, fault.is_repairable) == (Part.ENCODER, False)
    assert "made with encoder 'hashing-32' (32 dimensions), but this one is 'hashing-16' (16)" in fault.message
    repair(store, other)
    assert other.encoded == []


def test_the_check_changes_nothing(filled: Path, hashing: HashingEncoder) -> None:
    """A damaged file is, byte for byte, the same after a check."""
    run_sql(filled, "DELETE FROM vectors")
    before = filled.read_bytes()
    store = SQLiteStore(filled)
    assert check(store, hashing).faults
    store.close()
    assert filled.read_bytes() == before


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_truncated_file_is_told(filled: Path, hashing: HashingEncoder, share: float) -> None:
    """Of a file that lost its end, either opening or the check says that it is damaged."""
    content = filled.read_bytes()
    filled.write_bytes(content[: int(len(content) * share)])
    assert any("damaged" in message for message in told(filled, hashing))
