from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from memedit.errors import MemoryFileError
from memedit.memory import EditMemory, migrations, schema
from memedit.memory.integrity import Part, check
from memedit.memory.schema import SCHEMA_VERSION, backup_path
from memedit.memory.sqlite import SQLiteStore
from tests.memory.hashing import HashingEncoder

OLD = range(1, SCHEMA_VERSION)


def written_by(version: int, path: Path) -> Path:
    """Make a file as memedit of an earlier schema left it."""
    script = Path(__file__).with_name("versions") / f"{version}.sql"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script.read_text(encoding="utf-8"))
    return path


@pytest.fixture
def version_1(path: Path) -> Path:
    """A file of version 1: an edit that was updated, one that was removed, and one of another kind."""
    return written_by(1, path)


@pytest.fixture
def version_2(path: Path) -> Path:
    """A file of version 2: the same, a purged edit, and one whose adding was undone."""
    return written_by(2, path)


@pytest.fixture(params=OLD)
def old(request: pytest.FixtureRequest, path: Path) -> Path:
    """A file of each version that ever was."""
    return written_by(request.param, path)


def layout(path: Path) -> dict[str, str]:
    """What a file's tables and indexes are made of, by name, apart from white space."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {name: "".join(sql.split()).replace('"', "") for name, sql in rows}


def user_version(path: Path) -> int:
    """The schema that a file says it has."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


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


def test_a_file_of_version_2_is_migrated(version_2: Path, hashing: HashingEncoder) -> None:
    """Edits, history, tombstones and vectors of a file of version 2 are there, and can be changed further."""
    with EditMemory(version_2, hashing) as memory:
        first, second = memory.list()
        assert (first.target, first.tags, first.aliases) == ("Dana Reyes", ("staff",), ("Who runs Acme?",))
        assert [edit.target for edit in memory.at(1)] == ["Lee Fox"]
        assert memory.search(HashingEncoder().encode(["Who runs Acme?"]), 1)[0][0].edit == first
        assert [edit.id for edit in memory.linked(first.id).onward] == [second.id]
        assert memory.revision == 9
        assert [event.reverts for event in memory.undo(2)] == [5, 4]
    assert hashing.encoded == ["gone"]


def test_a_migrated_file_is_in_good_health(old: Path, hashing: HashingEncoder) -> None:
    """Every event of a migrated file has its checksum: as it is nothing is wrong, and changed it is told."""
    EditMemory(old, hashing).close()
    assert user_version(old) == SCHEMA_VERSION
    with closing(SQLiteStore(old)) as store:
        [*faults] = check(store, hashing).faults
        assert [fault for fault in faults if fault.part is Part.JOURNAL] == []
    with closing(sqlite3.connect(old)) as connection, connection:
        connection.execute("UPDATE events SET state = replace(state, 'Lee Fox', 'Lee Fix')")
    with closing(SQLiteStore(old)) as store:
        [fault] = [fault for fault in check(store, hashing).faults if fault.part is Part.JOURNAL]
        assert "1 edit is" in fault.message


def test_a_migrated_file_is_laid_out_as_a_new_one(old: Path, hashing: HashingEncoder) -> None:
    """However a file came to its schema, tables and indexes are the same."""
    EditMemory(old, hashing).close()
    fresh = old.with_name("fresh.db")
    EditMemory(fresh, hashing).close()
    assert layout(old) == layout(fresh)


def test_a_copy_of_the_old_file_is_kept(version_1: Path, hashing: HashingEncoder) -> None:
    """Beside a migrated file lies one of the old version with everything in it; purge deletes it."""
    before = layout(version_1)
    with EditMemory(version_1, hashing) as memory:
        copy = backup_path(version_1, 1)
        assert copy.name == "edits.db.v1.bak"
        assert (layout(copy), user_version(copy)) == (before, 1)
        assert b"Lee Fox" in copy.read_bytes()
        memory.purge("one")
        assert not copy.exists()
    EditMemory(version_1, hashing).close()
    assert [file.name for file in version_1.parent.iterdir()] == ["edits.db"]


def test_a_migration_that_fails_changes_nothing(
    old: Path, hashing: HashingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration is done as a whole or not at all, and can be tried again."""
    last = SCHEMA_VERSION - 1

    def fail(connection: sqlite3.Connection) -> None:
        migrations.MIGRATIONS[last](connection)
        connection.execute("SELECT * FROM nowhere")

    before = layout(old)
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", {**migrations.MIGRATIONS, last: fail})
        with pytest.raises(MemoryFileError, match="cannot be used: no such table: nowhere"):
            EditMemory(old, hashing)
    assert layout(old) == before
    with EditMemory(old, hashing) as memory:
        assert len(memory) in (2, 3)


def test_there_is_a_migration_for_each_version() -> None:
    """From every version that was ever released there is a way to the current one."""
    assert sorted(migrations.MIGRATIONS) == list(OLD)


def test_a_file_without_a_version_is_damaged(version_1: Path, hashing: HashingEncoder) -> None:
    """A memory that names no schema is not guessed at."""
    with closing(sqlite3.connect(version_1)) as connection:
        connection.execute("PRAGMA user_version = 0")
    with pytest.raises(MemoryFileError, match="is damaged: it names no schema"):
        EditMemory(version_1, hashing)
