from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from memedit.errors import EncoderMismatchError, MemoryFileError
from memedit.memory import EditMemory, schema
from memedit.memory.file_errors import translated
from tests.memory.damage import run_sql
from tests.memory.hashing import HashingEncoder


@pytest.fixture
def filled(path: Path, hashing: HashingEncoder) -> Path:
    """A closed memory file with three edits."""
    with EditMemory(path, hashing) as memory:
        memory.add("red fish", "1", aliases=["pink fish"])
        memory.add("blue boat", "2")
        memory.add("green sea", "3")
    hashing.encoded.clear()
    return path


@pytest.mark.parametrize("content", [b"\n", b"{}", b"prompt,target\n" * 400, b"\0" * 4096])
def test_a_foreign_file_is_refused_untouched(path: Path, hashing: HashingEncoder, content: bytes) -> None:
    """A file that is no SQLite database gets one clear sentence and keeps its bytes."""
    path.write_bytes(content)
    with pytest.raises(MemoryFileError, match=r"edits\.db' is not a memedit memory"):
        EditMemory(path, hashing)
    assert path.read_bytes() == content


def test_another_programs_database_is_refused_untouched(path: Path, hashing: HashingEncoder) -> None:
    """Another program's SQLite file is recognised, and not a byte of it changes."""
    run_sql(path, "CREATE TABLE events (revision)")
    before = path.read_bytes()
    with pytest.raises(MemoryFileError, match="another program's SQLite database"):
        EditMemory(path, hashing)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_an_empty_file_becomes_a_memory(path: Path, hashing: HashingEncoder) -> None:
    """A file of no bytes, as a crash or mktemp leaves it, is taken for a new memory."""
    path.touch()
    with EditMemory(path, hashing) as memory:
        memory.add("p", "t")
    assert path.stat().st_size > 0


def test_a_newer_file_is_refused(filled: Path, hashing: HashingEncoder) -> None:
    """A file with a newer schema names both versions and what to do."""
    run_sql(filled, f"PRAGMA user_version = {schema.SCHEMA_VERSION + 1}")
    with pytest.raises(MemoryFileError, match=rf"newer memedit \(schema {schema.SCHEMA_VERSION + 1}, this one"):
        EditMemory(filled, hashing)


def test_impossible_paths_are_refused(tmp_path: Path, hashing: HashingEncoder) -> None:
    """A folder, a file in a folder that is not there, or a name that is too long gets a clear sentence."""
    with pytest.raises(MemoryFileError, match="is a folder; expected a file"):
        EditMemory(tmp_path, hashing)
    with pytest.raises(MemoryFileError, match="its folder does not exist"):
        EditMemory(tmp_path / "none" / "edits.db", hashing)
    with pytest.raises(MemoryFileError, match="cannot be opened: File name too long"):
        EditMemory(tmp_path / ("n" * 5000), hashing)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_refused(filled: Path, hashing: HashingEncoder) -> None:
    """A file whose pages are overwritten is called damaged, not read as something else."""
    size = filled.stat().st_size
    with filled.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    with pytest.raises(MemoryFileError, match="is damaged; restore it from a backup"):
        EditMemory(filled, hashing)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_a_truncated_file_gives_no_wrong_answer(filled: Path, hashing: HashingEncoder, share: float) -> None:
    """A file that lost its end is called damaged, or nothing of what it held is missing."""
    with EditMemory(filled, hashing) as memory:
        before = memory.list()
    content = filled.read_bytes()
    filled.write_bytes(content[: int(len(content) * share)])
    try:
        with EditMemory(filled, hashing) as memory:
            found = [memory.list(), memory.list()]
    except MemoryFileError as error:
        found = str(error)
    assert found == [before, before] or "is damaged" in found


def test_a_flipped_bit_in_a_vector_changes_no_answer(filled: Path, hashing: HashingEncoder) -> None:
    """Whichever bit of a stored vector the disk flips, it is noticed and the vector computed again."""
    queries = hashing.encode(["pink fish", "boat", "sea"])
    with EditMemory(filled, hashing) as memory:
        before = memory.search(queries, 3)
    content = filled.read_bytes()
    start = content.index(hashing.encode(["blue boat"]).tobytes())
    for bit in range(0, 32 * 4 * 8, 41):
        damaged = bytearray(content)
        damaged[start + bit // 8] ^= 1 << bit % 8
        filled.write_bytes(damaged)
        hashing.encoded.clear()
        with EditMemory(filled, hashing) as memory:
            assert memory.search(queries, 3) == before
        assert hashing.encoded == ["blue boat"]


def test_a_flipped_bit_in_an_event_is_never_an_answer(filled: Path, hashing: HashingEncoder) -> None:
    """Whichever bit of an event the disk flips, all that reads it names the event, and the rest is as it was."""
    queries = hashing.encode(["blue boat", "red fish"])
    with EditMemory(filled, hashing) as memory:
        red, blue, green = memory.list()
    content = filled.read_bytes()
    state = json.dumps(blue.to_dict()).encode()
    for bit in range(0, len(state) * 8, 101):
        damaged = bytearray(content)
        damaged[content.index(state) + bit // 8] ^= 1 << bit % 8
        filled.write_bytes(damaged)
        with EditMemory(filled, hashing) as memory:
            reads = (
                memory.list,
                partial(memory.list, text="boat"),
                partial(memory.get, blue.id),
                partial(memory.history, blue.id),
                partial(memory.at, 2),
                partial(memory.diff, 0, 3),
                partial(memory.undo, 2),
                partial(memory.search, queries[:1], 1),
                partial(memory.add, "blue boat", "4"),
            )
            for read in reads:
                with pytest.raises(MemoryFileError, match=f"is damaged: event 2 of edit '{blue.id}'") as caught:
                    read()
                assert "boat" not in str(caught.value)
            assert memory.search(queries[1:], 1)[0][0].edit == red
            assert (memory.get(green.id), memory.revision) == (green, 3)


def test_a_flipped_bit_never_gives_an_edit_to_another_namespace(filled: Path, hashing: HashingEncoder) -> None:
    """Where the tables have an edit in a namespace or at a time that the journal has not, nothing answers with it."""
    queries = hashing.encode(["blue boat"])
    run_sql(filled, "UPDATE edits SET namespace = 'tenant' WHERE ordinal = 2")
    with EditMemory(filled, hashing) as memory:
        reads = (
            partial(memory.search, queries, 1, "tenant"),
            partial(memory.list, "tenant"),
            partial(memory.list, "tenant", text="boat"),
            partial(memory.count, "tenant", text="boat"),
            partial(memory.add, "blue boat", "4", namespace="tenant"),
            partial(memory.clear, "tenant"),
        )
        for read in reads:
            with pytest.raises(MemoryFileError, match=r"damaged: edit .* is found where the journal does not have it"):
                read()
        assert (memory.revision, len(memory.search(queries, 3)[0])) == (3, 2)
    run_sql(
        filled,
        "UPDATE edits SET namespace = 'default', valid_until = '2999-01-01T00:00:00+00:00' WHERE ordinal = 2",
        "UPDATE edits SET prompt_key = 'other words' WHERE ordinal = 3",
    )
    with EditMemory(filled, hashing) as memory:
        assert memory.search(queries, 1)[0][0].edit.target == "2"
        with pytest.raises(MemoryFileError, match="is found where the journal does not have it"):
            memory.add("other words", "5")


@pytest.mark.parametrize("column", ["action", "at", "edit_id"])
def test_text_that_is_no_text_any_more_is_damage(filled: Path, hashing: HashingEncoder, column: str) -> None:
    """A column of an event that is not UTF-8 is called damaged, without a word of what it holds."""
    run_sql(filled, "PRAGMA ignore_check_constraints = ON", f"UPDATE events SET {column} = CAST(x'FF41' AS TEXT)")
    with (
        pytest.raises(MemoryFileError, match=r"edits\.db' is damaged: a text in it cannot be read; .* from a backup$"),
        EditMemory(filled, hashing) as memory,
    ):
        memory.at(3)


def test_each_of_sqlites_errors_has_a_sentence() -> None:
    """What the system refuses is said in words that help, whatever the occasion; the rest in SQLite's."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    assert "reports an input/output error; check the disk" in str(translated(error, Path("edits.db")))
    error.sqlite_errorcode = sqlite3.SQLITE_ERROR
    assert str(translated(error, None)) == "the memory in RAM cannot be used: disk I/O error"


FULL_DISK = """
import resource, sys
from pathlib import Path
from memedit.memory import EditMemory
from memedit.errors import MemoryFileError
from tests.memory.hashing import HashingEncoder
with EditMemory(sys.argv[1], HashingEncoder()) as memory:
    resource.setrlimit(resource.RLIMIT_FSIZE, (Path(sys.argv[1]).stat().st_size + 40_000,) * 2)
    try:
        for number in range(1000):
            memory.add_many({"prompt": f"{number} {part}", "target": "t" * 500} for part in range(5))
            print(number, flush=True)
    except MemoryFileError as error:
        print(error)
    print(len(memory))
"""


@pytest.mark.skipif(os.name != "posix", reason="limits are those of POSIX")
def test_a_disk_that_fills_up_keeps_what_was_acknowledged(
    filled: Path, hashing: HashingEncoder, request: pytest.FixtureRequest
) -> None:
    """When the system refuses to write more, the last batch is refused whole, and all before it stays."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(filled)],
        cwd=request.config.rootpath,
        capture_output=True,
        text=True,
        check=True,
    )
    *acknowledged, message, count = done.stdout.splitlines()
    assert message.startswith(f"memory file {str(filled)!r}")
    assert 0 < len(acknowledged) < 1000
    assert int(count) == 3 + 5 * len(acknowledged)
    with EditMemory(filled, hashing) as memory:
        assert len(memory) == int(count)
        memory.add("one more", "t")


READ_ONLY = """
import os, sys
from memedit.memory import EditMemory
from memedit.errors import MemoryFileError
from tests.memory.hashing import HashingEncoder
EditMemory(None, HashingEncoder()).close()  # what is imported late may be closed to others too
if os.geteuid() == 0:
    os.seteuid(65534)
try:
    EditMemory(sys.argv[1], HashingEncoder())
except MemoryFileError as error:
    print(error)
"""


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_a_read_only_file_is_refused(filled: Path, request: pytest.FixtureRequest) -> None:
    """A file without write permission is refused at once, not at the first edit."""
    # In a process of its own, which may give up the rights that make root write everywhere.
    filled.chmod(0o444)
    # pytest's own folders, however deep, are closed to others.
    for folder in filled.parents:
        if folder.stat().st_uid == os.getuid() and folder != Path(folder.anchor):
            folder.chmod(folder.stat().st_mode | 0o055)
    done = subprocess.run(
        [sys.executable, "-c", READ_ONLY, str(filled)],
        cwd=request.config.rootpath,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"memory file {str(filled)!r} cannot be written" in done.stdout
    assert "is read-only" in done.stdout


def test_a_locked_file_is_reported(filled: Path, hashing: HashingEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another process holds the write lock, reading works and writing says why not."""
    monkeypatch.setattr(schema, "BUSY_TIMEOUT_SECONDS", 0.05)
    other = sqlite3.connect(filled, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with EditMemory(filled, hashing) as memory:
        with pytest.raises(MemoryFileError, match="is locked by another process"):
            memory.add("p", "t")
        assert len(memory) == 3
        other.execute("ROLLBACK")
        memory.add("p", "t")
        assert len(memory) == 4
    other.close()


def test_a_full_disk_loses_nothing(filled: Path, hashing: HashingEncoder) -> None:
    """When the file cannot grow, the edit is refused, what was there stays, and it works after."""
    with EditMemory(filled, hashing) as memory:
        before = memory.list()
        connection = memory._store._connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(MemoryFileError, match="the disk is full"):
            memory.add_many({"prompt": f"p{n}", "target": "t" * 5000} for n in range(50))
        assert memory.list() == before
        connection.execute("PRAGMA max_page_count = 100000")
        memory.add("p", "t")
        assert len(memory) == 4


def test_another_encoder_is_refused_or_re_encodes(filled: Path, hashing: HashingEncoder) -> None:
    """Vectors of two encoders are never mixed: refused, or all computed again when asked."""
    other = HashingEncoder(dimension=16)
    with pytest.raises(EncoderMismatchError, match=r"'hashing-32' \(32 dimensions\), but this one"):
        EditMemory(filled, other)
    with EditMemory(filled, other, reencode=True) as memory:
        assert sorted(other.encoded) == ["blue boat", "green sea", "pink fish", "red fish"]
        assert memory.search(other.encode(["pink fish"]), 1)[0][0].edit.target == "1"
        assert memory.revision == 3
    with pytest.raises(EncoderMismatchError, match="hashing-16"):
        EditMemory(filled, hashing)


def test_a_memory_without_edits_takes_any_encoder(path: Path, hashing: HashingEncoder) -> None:
    """Where there are no vectors there is nothing to mix, and a stale object cannot mix either."""
    with EditMemory(path, hashing) as stale:
        other = HashingEncoder(dimension=16)
        with EditMemory(path, other) as memory:
            memory.add("p", "t")
        with pytest.raises(EncoderMismatchError):
            stale.add("q", "t")
        with pytest.raises(EncoderMismatchError):
            stale.search(hashing.encode(["p"]), 1)
        assert len(stale) == 1


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM vectors",
        "DELETE FROM vectors WHERE wording = 1",
        "UPDATE vectors SET vector = substr(vector, 1, 8)",
        "UPDATE vectors SET vector = zeroblob(length(vector))",
        "INSERT INTO vectors SELECT edit_id, 7, checksum, vector FROM vectors",
        "DELETE FROM edits",
        "DELETE FROM edits WHERE ordinal = 2",
        "INSERT INTO vectors SELECT edit_id, 9, checksum, vector FROM vectors WHERE wording = 0; "
        "DELETE FROM vectors WHERE wording = 0; UPDATE vectors SET wording = 0 WHERE wording = 9",
        "UPDATE edits SET revision = 1 WHERE ordinal = 3",
        "UPDATE edits SET revision = 5 - revision WHERE ordinal > 1",
        "INSERT INTO edits SELECT 9, 'ghost', 9, namespace, 'ghost', NULL, NULL, 1, NULL, NULL FROM edits "
        "WHERE ordinal = 1",
        "DELETE FROM meta",
    ],
)
def test_what_is_derived_is_rebuilt_from_the_journal(filled: Path, hashing: HashingEncoder, damage: str) -> None:
    """Whatever happens to the derived tables, opening brings back state and search results."""
    queries = hashing.encode(["pink fish", "boat", "sea"])
    with EditMemory(filled, hashing) as memory:
        before = memory.list(), memory.search(queries, 3)
    if "7, checksum" in damage:
        damage += " WHERE wording = 0"
    run_sql(filled, *damage.split("; "))
    for attempt in range(2):
        hashing.encoded.clear()
        # Without a stamp nobody knows whose vectors these are.
        with EditMemory(filled, hashing, reencode="meta" in damage and not attempt) as memory:
            assert (memory.list(), memory.search(queries, 3)) == before
    assert hashing.encoded == []


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE edits SET revision = 1 WHERE ordinal = 1",
        "INSERT INTO edits SELECT revision, edit_id, revision, 'default', 'green sea', NULL, NULL, 1, NULL, '3' "
        "FROM events WHERE revision = 3",
    ],
)
def test_what_is_over_does_not_come_back_by_the_tables(filled: Path, hashing: HashingEncoder, damage: str) -> None:
    """Where the tables hold a former state, or an edit that was removed, what the journal told last counts."""
    with EditMemory(filled, hashing) as memory:
        first, _, third = memory.list()
        memory.update(first.id, target="new")
        memory.remove(third.id)
    run_sql(filled, damage)
    with EditMemory(filled, hashing) as memory:
        assert [edit.target for edit in memory] == ["new", "2"]
        assert len(memory.search(hashing.encode(["green sea"]), 3)[0]) == 2
