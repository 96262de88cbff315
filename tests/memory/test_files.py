from __future__ import annotations

import logging
import os
import sqlite3
import stat
from pathlib import Path

import pytest

from memedit.errors import MemoryFileError
from memedit.memory import EditMemory, RamStore
from memedit.memory.copying import open_copy
from tests.memory.hashing import HashingEncoder

SECRET = "Quetzalcoatlus"


def files_with(folder: Path, text: str) -> list[str]:
    """Names of the files in a folder whose bytes hold a text, in any case."""
    return sorted(file.name for file in folder.iterdir() if text.lower().encode() in file.read_bytes().lower())


def fill(memory: EditMemory) -> str:
    """Store edits around one that holds `SECRET` in every field, in several states; its id."""
    memory.add_many({"prompt": f"before {n}", "target": "t" * 300} for n in range(30))
    long = f"{SECRET} " * 400
    edit = memory.add(SECRET, long, subject=SECRET, aliases=[f"a {SECRET}"], metadata={SECRET: long}, tags=[SECRET])
    memory.update(edit.id, prompt=f"Who is {SECRET}?", namespace=SECRET)
    memory.update(edit.id, target=f"the {SECRET}", aliases=[])
    memory.add_many({"prompt": f"after {n}", "target": "t" * 300} for n in range(30))
    return edit.id


def test_purge_leaves_no_byte_of_the_text(path: Path, hashing: HashingEncoder) -> None:
    """After purge no file beside the memory, the write-ahead log included, holds the text."""
    with EditMemory(path, hashing) as memory:
        edit_id = fill(memory)
        before = memory.list(namespace="default")
        assert files_with(path.parent, SECRET)
        memory.purge(edit_id)
        assert files_with(path.parent, SECRET) == []
        assert memory.list() == before
    assert files_with(path.parent, SECRET) == []
    hashing.encoded.clear()
    with EditMemory(path, hashing) as memory:
        assert memory.list() == before
        assert [event.action for event in memory.history(edit_id)] == ["added", "updated", "updated", "purged"]
    assert hashing.encoded == []


def test_purge_beside_a_reader_says_what_may_be_left(path: Path, hashing: HashingEncoder) -> None:
    """While another process reads, the edit is purged, the error says why the file is not, and again helps."""
    with EditMemory(path, hashing) as memory:
        edit_id = fill(memory)
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM events").fetchone()
        memory._store._connection.execute("PRAGMA busy_timeout = 50")
        with pytest.raises(MemoryFileError, match="may still hold what was purged: another process is reading"):
            memory.purge(edit_id)
        assert edit_id not in memory
        reader.close()
        memory.purge(edit_id)
        assert files_with(path.parent, SECRET) == []
        assert len(memory.history(edit_id)) == 4


def test_a_purge_without_room_says_what_may_be_left(path: Path, hashing: HashingEncoder) -> None:
    """Where the file cannot be written anew, the edit is purged, the error says what is left, and again helps."""
    with EditMemory(path, hashing) as memory:
        edit_id = fill(memory)
        store = memory._store._connection
        store.execute(f"PRAGMA max_page_count = {store.execute('PRAGMA page_count').fetchone()[0]}")
        store.set_authorizer(lambda action, *_: sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_ATTACH else 0)
        with pytest.raises(MemoryFileError, match=r"may still hold what was purged: .*; purge the edit again"):
            memory.purge(edit_id)
        assert edit_id not in memory
        assert files_with(path.parent, SECRET)
        store.set_authorizer(None)
        memory.purge(edit_id)
        assert files_with(path.parent, SECRET) == []


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
@pytest.mark.parametrize(("mask", "mode"), [(0o000, 0o600), (0o022, 0o600), (0o277, 0o400)])
def test_a_new_memory_is_the_owners_own(
    path: Path, hashing: HashingEncoder, mask: int, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new file, its log and a backup may be read by the owner only, or by less if the umask says so."""
    # Root may write what is read-only; others get the error that a file must be writable.
    monkeypatch.setattr(os, "access", lambda *_: True)
    if os.geteuid() and mode == 0o400:
        pytest.skip("only root may write a file that is read-only")
    old = os.umask(mask)
    try:
        with EditMemory(path, hashing) as memory:
            memory.add("p", "t")
            memory.backup(path.with_name("backup.db"))
            modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(old)
    assert modes == {mode}


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_the_permissions_of_a_file_that_is_there_stay(path: Path, hashing: HashingEncoder) -> None:
    """A file that its owner opened to others stays open to them."""
    EditMemory(path, hashing).close()
    path.chmod(0o664)
    with EditMemory(path, hashing) as memory:
        memory.add("p", "t")
    assert stat.S_IMODE(path.stat().st_mode) == 0o664


def test_a_backup_is_a_memory_of_its_own(path: Path, hashing: HashingEncoder) -> None:
    """A backup made in use holds edits, history and vectors of that moment in one file."""
    copy = path.with_name("backup.db")
    with EditMemory(path, hashing) as memory:
        edit_id = fill(memory)
        memory.backup(copy)
        before, history = memory.list(), memory.history(edit_id)
        memory.clear()
    assert sorted(file.name for file in path.parent.iterdir()) == ["backup.db", "edits.db"]
    hashing.encoded.clear()
    with EditMemory(copy, hashing) as memory:
        assert (memory.list(), memory.history(edit_id)) == (before, history)
        assert memory.search(HashingEncoder().encode(["before 3"]), 1)[0][0].edit.prompt == "before 3"
        memory.undo()
    assert hashing.encoded == []


def test_a_backup_touches_no_other_file(path: Path, hashing: HashingEncoder) -> None:
    """What lies beside a backup, whatever its name, stays as it was."""
    for name in ("backup.db.partial", "memedit-.partial"):
        path.with_name(name).write_text("mine")
    with EditMemory(path, hashing) as memory:
        memory.add("p", "t")
        memory.backup(path.with_name("backup.db"))
    assert {file.name: file.read_bytes() for file in path.parent.glob("*.partial")} == {
        "backup.db.partial": b"mine", "memedit-.partial": b"mine",
    }  # fmt: skip


def test_purge_finds_its_files_from_another_folder(
    tmp_path: Path, hashing: HashingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A memory opened by a relative path stays the same one when the process changes its folder."""
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    for folder in (elsewhere, here):
        folder.mkdir()
        monkeypatch.chdir(folder)
    with EditMemory("edits.db", hashing) as memory:
        edit_id = fill(memory)
        (here / "edits.db.v1.bak").write_text(SECRET)
        monkeypatch.chdir(elsewhere)
        memory.purge(edit_id)
    assert files_with(here, SECRET) == []


@pytest.mark.parametrize("path", [":memory:", Path(":memory:")])
def test_a_memory_in_ram_by_name(
    path: str | Path, hashing: HashingEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's name for a database in RAM means one, as a string and as a path; no file is made."""
    monkeypatch.chdir(tmp_path)
    with EditMemory(path, hashing) as memory:
        memory.add("p", "t")
        assert memory.path is None
    assert list(tmp_path.iterdir()) == []


def test_a_backup_of_a_memory_in_ram_is_a_file(path: Path, hashing: HashingEncoder) -> None:
    """What was kept in RAM goes on in a file."""
    with EditMemory(None, hashing) as memory:
        edit = memory.add("p", "t")
        memory.backup(path)
    with EditMemory(path, hashing) as memory:
        assert memory.list() == [edit]


def test_a_backup_overwrites_nothing(path: Path, hashing: HashingEncoder) -> None:
    """A file that is there, a folder that is not, and a store without a file get a clear error."""
    with EditMemory(path, hashing) as memory:
        with pytest.raises(MemoryFileError, match="exists already; expected the path of a new file"):
            memory.backup(path)
        with pytest.raises(MemoryFileError, match="its folder does not exist"):
            memory.backup(path.parent / "none" / "backup.db")
    with (
        EditMemory(None, hashing, store=RamStore()) as memory,
        pytest.raises(MemoryFileError, match="a RamStore cannot be copied to the file"),
    ):
        memory.backup(path.with_name("backup.db"))
    assert [file.name for file in path.parent.iterdir()] == ["edits.db"]


def test_nothing_is_made_beside_the_log_of_another_file(path: Path, hashing: HashingEncoder) -> None:
    """A log that a deleted memory left is never replayed into a new file at its path: backup and copy are refused."""
    source = path.with_name("source.db")
    with EditMemory(source, hashing) as memory:
        memory.add("p", "t")
        path.with_name("edits.db-wal").write_bytes(source.with_name("source.db-wal").read_bytes())
        with pytest.raises(MemoryFileError, match=r"cannot be made beside 'edits\.db-wal', the log of another"):
            memory.backup(path)
    with pytest.raises(MemoryFileError, match="the log of another"):
        open_copy(source, hashing, path)
    assert not path.exists()


def test_logs_hold_no_text(path: Path, hashing: HashingEncoder, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing of an edit's text is logged above DEBUG, whatever is done."""
    caplog.set_level(logging.INFO, "memedit")
    with EditMemory(path, hashing, same_fact=lambda wording, others: [True] * len(others)) as memory:
        first = memory.add(f"{SECRET} one", SECRET)
        second = memory.add(f"{SECRET} two", f"not {SECRET}")
        memory.update(first.id, target=f"{SECRET} three")
        memory.remove(first.id)
        memory.undo()
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("DELETE FROM edits")
    connection.close()
    with EditMemory(path, hashing) as memory:
        memory.purge(second.id)
    assert f"edit {second.id} contradicts edit {first.id}" in caplog.text
    assert "rebuilt" in caplog.text
    assert SECRET not in caplog.text
