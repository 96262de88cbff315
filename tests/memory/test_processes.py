from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from itertools import cycle
from pathlib import Path
from threading import Thread

import pytest

from memedit.memory import EditMemory, schema
from memedit.memory.sqlite import SQLiteStore
from tests.memory.hashing import HashingEncoder

Start = Callable[[str], subprocess.Popen[str]]
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def everything(_: str, others: list[str]) -> list[bool]:
    """A judge that holds all to be the same fact."""
    return [True] * len(others)


@pytest.fixture
def start(path: Path, request: pytest.FixtureRequest) -> Start:
    """Start a writer process on the memory file."""

    def start_writer(name: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.memory.writer", str(path), name]
        return subprocess.Popen(command, cwd=request.config.rootpath, stdout=subprocess.PIPE, text=True)

    return start_writer


def test_a_killed_writer_loses_nothing_it_acknowledged(path: Path, hashing: HashingEncoder, start: Start) -> None:
    """After kill -9 every acknowledged edit is there, and no half of an unacknowledged batch."""
    acknowledged: list[str] = []
    for round_number, lines in enumerate((1, 7, 20)):
        writer = start(f"round{round_number}")
        acknowledged.extend(writer.stdout.readline().strip() for _ in range(lines))
        writer.kill()
        acknowledged.extend(line.strip() for line in writer.stdout if line.endswith("\n"))
        writer.wait()
        writer.stdout.close()
        with EditMemory(path, hashing) as memory:
            stored = {edit.prompt for edit in memory}
            assert {f"{prompt} {part}" for prompt in acknowledged for part in "ab"} <= stored
            assert {f"{prompt[:-1]}{part}" for prompt in stored for part in "ab"} == stored
            queries = hashing.encode([f"{prompt} a" for prompt in acknowledged])
            hits = memory.search(queries, 1)
            assert [row[0].edit.prompt for row in hits] == [f"{text} a" for text in acknowledged]


def test_two_writers_take_turns(path: Path, hashing: HashingEncoder, start: Start) -> None:
    """Two processes that create one file and write at once both succeed, and a reader sees both."""
    writers = [start(name) for name in ("left", "right")]
    with EditMemory(path, hashing) as memory:
        for writer in writers:
            lines = [writer.stdout.readline().strip() for _ in range(10)]
            queries = hashing.encode([f"{line} b" for line in lines])
            hits = memory.search(queries, 1)
            assert [row[0].edit.prompt for row in hits] == [f"{line} b" for line in lines]
        for writer in writers:
            writer.kill()
            writer.wait()
            writer.stdout.close()
        revisions = [event.revision for edit in memory for event in memory.history(edit.id)]
        assert sorted(revisions) == list(range(1, memory.revision + 1))


def test_who_comes_while_a_file_is_being_created_waits(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that looks at a new file just when another makes its tables takes it for a memory."""
    seen = schema._version
    other = Thread(target=lambda: SQLiteStore(path).close())

    def meanwhile(connection: sqlite3.Connection) -> int:
        monkeypatch.undo()
        other.start()
        other.join(timeout=0.3)  # as long as this one looks, the other has to wait
        return seen(connection)

    path.touch()
    monkeypatch.setattr(schema, "_version", meanwhile)
    with closing(SQLiteStore(path)) as store:
        other.join()
        assert store.revision == 0


def test_a_second_object_follows_each_change(path: Path, hashing: HashingEncoder) -> None:
    """What one object adds, changes, removes or undoes, another on the same file finds so."""
    queries = hashing.encode(["red fish", "blue boat"])
    with EditMemory(path, hashing) as writer, EditMemory(path, hashing) as reader:
        edit = writer.add("red fish", "t")
        for change in (
            lambda: writer.add_many({"prompt": f"boat {n}", "target": "t"} for n in range(20)),
            lambda: writer.update(edit.id, prompt="blue boat"),
            lambda: writer.remove(edit.id),
            writer.undo,
            writer.clear,
        ):
            change()
            assert reader.list() == writer.list()
            assert reader.search(queries, 30) == writer.search(queries, 30)
            assert reader.history(edit.id) == writer.history(edit.id)
        assert reader.search(queries, 30) == [[], []]


def test_following_a_change_takes_no_longer_in_a_large_memory(path: Path, hashing: HashingEncoder) -> None:
    """A search after an add elsewhere has the database read what is new, not the whole journal."""
    ticks: list[int] = []
    with EditMemory(path, hashing) as writer, EditMemory(path, hashing) as reader:
        for size in (20, 2_000):
            writer.add_many({"prompt": f"fact {size} {number}", "target": "t"} for number in range(size))
            reader.search(hashing.encode(["fact"]), 1)
            writer.add(f"new {size}", "t")
            reader._store._connection.set_progress_handler(partial(ticks.append, size), 10)
            reader.search(hashing.encode([f"new {size}"]), 1)
            reader._store._connection.set_progress_handler(None, 0)
    assert 0 < ticks.count(2_000) < 2 * ticks.count(20)


def test_a_change_in_the_midst_of_a_search_is_no_damage(path: Path, hashing: HashingEncoder) -> None:
    """Whatever another process changes between two steps of a search, all of it sees the memory at one revision."""
    queries = hashing.encode(["red fish"])
    with EditMemory(path, hashing) as writer, EditMemory(path, hashing, same_fact=everything) as reader:
        edit, near = (writer.add(prompt, prompt).id for prompt in ("red fish", "red fish tank"))
        revision = writer.revision
        changes = cycle(
            (
                lambda: writer.remove(edit),
                lambda: writer.restore(edit),
                lambda: writer.update(edit, valid_until=LONG_AGO),
                lambda: writer.update(edit, valid_until=None, aliases=["a fish"]),
                lambda: writer.update(edit, namespace="tenant", aliases=[]),
                lambda: writer.update(edit, namespace="default", prompt="blue boat"),
                lambda: writer.update(edit, prompt="red fish"),
            )
        )
        reader._store._connection.set_trace_callback(lambda _: next(changes)())
        for _ in range(15):
            hits = reader.search(queries, 3)[0]
            past = writer.at(reader._searcher._index.revision)
            now = datetime.now(UTC)
            assert {hit.edit for hit in hits} == {each for each in past.list("default") if each.is_valid_at(now)}
            assert {each.other.id for each in reader.contradictions(near)} <= {edit}
            assert {each.namespace for each in reader.list("tenant", text="fish")} <= {"tenant"}
        assert writer.revision > revision + 200


def test_threads_share_one_memory(memory: EditMemory, hashing: HashingEncoder) -> None:
    """Threads that add, search and remove at once lose no edit and find no removed one."""

    def work(thread: int) -> None:
        for number in range(10):
            kept = memory.add(f"thread{thread} kept{number}", "t")
            gone = memory.add(f"thread{thread} gone{number}", "t")
            memory.remove(gone.id)
            hits = memory.search(hashing.encode([kept.prompt, gone.prompt]), 500)
            assert hits[0][0].edit == kept
            assert gone.id not in {hit.edit.id for hit in hits[1]}

    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(work, range(4)))
    assert len(memory) == 40
    assert memory.revision == 120
