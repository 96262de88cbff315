from __future__ import annotations

import json
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import pytest

from memedit.errors import MemoryFileError
from memedit.memory import EditMemory, migrations, schema
from memedit.memory.schema import SCHEMA_VERSION, backup_path
from tests.memory.hashing import HashingEncoder

VERSION_1 = """
PRAGMA application_id = 0x6D656D65;
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
CREATE TABLE events (
    revision INTEGER PRIMARY KEY AUTOINCREMENT,
    action TEXT NOT NULL CHECK (action IN ('added', 'updated', 'removed', 'restored')),
    edit_id TEXT NOT NULL,
    state TEXT NOT NULL,
    at TEXT NOT NULL,
    reverts INTEGER UNIQUE REFERENCES events (revision)
);
CREATE INDEX events_of_edit ON events (edit_id, revision);
CREATE TABLE edits (
    ordinal INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    namespace TEXT NOT NULL,
    prompt_key TEXT NOT NULL,
    valid_from TEXT,
    valid_until TEXT,
    wordings INTEGER NOT NULL,
    state TEXT NOT NULL,
    UNIQUE (namespace, prompt_key)
);
CREATE TABLE vectors (
    edit_id TEXT NOT NULL,
    wording INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    vector BLOB NOT NULL,
    PRIMARY KEY (edit_id, wording)
);
CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL);
INSERT INTO meta VALUES ('encoder_id', 'hashing-32'), ('encoder_dimension', 32);
"""
"""The tables as version 1 made them; must stay as it is."""

AT = "2026-01-31T12:00:00+00:00"


def state(edit_id: str, prompt: str, target: str, revision: int, **more: object) -> dict[str, object]:
    """An edit as version 1 wrote it."""
    return {
        "id": edit_id,
        "prompt": prompt,
        "target": target,
        "kind": "modify",
        "subject": None,
        "aliases": [],
        "namespace": "default",
        "valid_from": None,
        "valid_until": None,
        "metadata": {},
        "created_at": AT,
        "revision": revision,
    } | more


@pytest.fixture
def version_1(path: Path) -> Path:
    """A file of version 1: an edit that was updated, one that was removed, and one of another kind."""
    events = [
        ("added", state("one", "The head of Acme is", "Lee Fox", 1)),
        ("updated", state("one", "The head of Acme is", "Dana Reyes", 2)),
        ("added", state("two", "Dana Reyes lives in", "Oslo", 3, subject="Dana Reyes", aliases=["Home of Dana"])),
        ("added", state("three", "gone", "Dana Reyes", 4)),
        ("removed", state("three", "gone", "Dana Reyes", 4)),
        ("added", state("four", "The code of Acme is", "Dana Reyes", 6, kind="erase")),
    ]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(VERSION_1)
        for revision, (action, values) in enumerate(events, start=1):
            row = (revision, action, values["id"], json.dumps(values), AT)
            connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, NULL)", row)
        for ordinal, revision, key in (
            (1, 2, "the head of acme is"),
            (3, 3, "dana reyes lives in"),
            (6, 6, "the code"),
        ):
            values = events[revision - 1][1]
            wordings = [values["prompt"], *values["aliases"]]
            row = (ordinal, values["id"], revision, "default", key, None, None, len(wordings), json.dumps(values))
            connection.execute("INSERT INTO edits VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            for place, vector in enumerate(HashingEncoder().encode(wordings)):
                row = (values["id"], place, zlib.crc32(vector.tobytes()), vector.tobytes())
                connection.execute("INSERT INTO vectors VALUES (?, ?, ?, ?)", row)
    return path


def layout(path: Path) -> dict[str, str]:
    """What a file's tables and indexes are made of, by name, apart from white space."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {name: "".join(sql.split()).replace('"', "") for name, sql in rows}


def test_a_file_of_version_1_is_migrated(version_1: Path, hashing: HashingEncoder) -> None:
    """Edits, history and vectors of a file of version 1 are there, and what is new works on them."""
    with EditMemory(version_1, hashing) as memory:
        assert hashing.encoded == []
        assert [(edit.id, edit.target, edit.tags) for edit in memory] == [
            ("one", "Dana Reyes", ()),
            ("two", "Oslo", ()),
            ("four", "Dana Reyes", ()),
        ]
        assert [event.action for event in memory.history("three")] == ["added", "removed"]
        assert memory.search(HashingEncoder().encode(["Home of Dana"]), 1)[0][0].edit.id == "two"
        links = memory.linked("two")
        assert [edit.id for edit in links.back] == ["one"]
        assert [event.reverts for event in memory.undo(2)] == [6, 5]
        memory.purge("three")
        assert memory.add("new", "t", tags=["a"]).revision == 10
    with closing(sqlite3.connect(version_1)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)


def test_a_migrated_file_is_laid_out_as_a_new_one(version_1: Path, hashing: HashingEncoder) -> None:
    """However a file came to its schema, tables and indexes are the same."""
    EditMemory(version_1, hashing).close()
    fresh = version_1.with_name("fresh.db")
    EditMemory(fresh, hashing).close()
    assert layout(version_1) == layout(fresh)


def test_a_copy_of_the_old_file_is_kept(version_1: Path, hashing: HashingEncoder) -> None:
    """Beside a migrated file lies one of the old version with everything in it; purge deletes it."""
    before = layout(version_1)
    with EditMemory(version_1, hashing) as memory:
        copy = backup_path(version_1, 1)
        assert copy.name == "edits.db.v1.bak"
        assert layout(copy) == before
        assert b"Lee Fox" in copy.read_bytes()
        memory.purge("one")
        assert not copy.exists()
    EditMemory(version_1, hashing).close()
    assert [file.name for file in version_1.parent.iterdir()] == ["edits.db"]


def test_a_migration_that_fails_changes_nothing(
    version_1: Path, hashing: HashingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration is done as a whole or not at all, and can be tried again."""

    def fail(connection: sqlite3.Connection) -> None:
        migrations.MIGRATIONS[1](connection)
        connection.execute("SELECT * FROM nowhere")

    before = layout(version_1)
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", {1: fail})
        with pytest.raises(MemoryFileError, match="cannot be used: no such table: nowhere"):
            EditMemory(version_1, hashing)
    assert layout(version_1) == before
    with EditMemory(version_1, hashing) as memory:
        assert len(memory) == 3


def test_there_is_a_migration_for_each_version() -> None:
    """From every version that was ever released there is a way to the current one."""
    assert sorted(migrations.MIGRATIONS) == list(range(1, SCHEMA_VERSION))


def test_a_file_without_a_version_is_damaged(version_1: Path, hashing: HashingEncoder) -> None:
    """A memory that names no schema is not guessed at."""
    with closing(sqlite3.connect(version_1)) as connection:
        connection.execute("PRAGMA user_version = 0")
    with pytest.raises(MemoryFileError, match="is damaged: it names no schema"):
        EditMemory(version_1, hashing)
