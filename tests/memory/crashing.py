"""Kills a process that changes a memory, again and again, and looks at what is left.

The plan of changes is drawn from a seed, so that the test knows what each acknowledged change, and
the one that was under way, should have made of the memory.
"""

from __future__ import annotations

import multiprocessing
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from tqdm import tqdm

from memedit.memory import EditMemory
from memedit.memory.sqlite import SQLiteStore
from tests.memory.hashing import HashingEncoder

MOST_CHANGES = 7
"""A process lives until some of its changes are acknowledged, however slow the machine is, …"""
LONGEST_PAUSE = 0.03
"""… and so many seconds more: some die while they open the memory, some in the midst of a change."""
_SLOTS = 24
_RARELY = 0.02

State = dict[str, str]
Change = Callable[[EditMemory], object]


@dataclass
class Counts:
    """What happened in all rounds, and what must not have happened."""

    kills: int = 0
    acknowledged: int = 0
    finished_unacknowledged: int = 0
    lost: list[str] = field(default_factory=list)
    corrupt: list[str] = field(default_factory=list)


def kill_often(path: Path, kills: int, seed: int = 0) -> Iterator[Counts]:
    """Kill a writer at random moments; after each, open the memory and compare it with the plan.

    Args:
        path: The memory file; one file for all rounds.
        kills: How many writers to kill.
        seed: Of the plan and of the moments.

    Yields:
        The counts so far, after each round.
    """
    # Writers are forked from a process that has everything imported, or starting them would take
    # most of the time.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    moments = random.Random(seed)
    counts, state = Counts(), State()
    for number in range(kills):
        receiver, sender = context.Pipe(duplex=False)
        writer = context.Process(target=_write, args=(path, sender, state, seed + number))
        writer.start()
        sender.close()
        receiver.recv()  # the process runs
        acknowledged = moments.randint(0, MOST_CHANGES)
        for _ in range(acknowledged):
            receiver.recv()
        time.sleep(moments.uniform(0, LONGEST_PAUSE))
        writer.kill()
        writer.join()
        acknowledged += _count(receiver)
        receiver.close()
        counts.kills += 1
        counts.acknowledged += acknowledged
        state = _checked(path, state, plan(state, seed + number), acknowledged, counts)
        yield counts


def plan(state: State, seed: int) -> Iterator[tuple[Change, State]]:
    """Changes, each with the prompts and targets that the memory holds after it."""
    draw = random.Random(f"plan {seed}")
    number = 0
    while True:
        number += 1
        target = f"{seed}.{number}"
        stored = sorted(state)
        kind = draw.choice(("add", "add_many", "update", "rename", "remove") if stored else ("add", "add_many"))
        chosen = draw.choice(stored) if stored else ""
        slots = [f"slot {slot}" for slot in draw.sample(range(_SLOTS), 5)]
        change: Change
        if draw.random() < _RARELY:
            change, state = EditMemory.clear, {}
        elif kind == "add":
            change, state = partial(_add, {slots[0]: target}), {**state, slots[0]: target}
        elif kind == "add_many":
            batch = dict.fromkeys(slots, target)
            change, state = partial(_add, batch), {**state, **batch}
        elif kind == "update":
            change, state = partial(_update, chosen, {"target": target}), {**state, chosen: target}
        elif kind == "rename":
            renamed = {f"renamed {target}": state[chosen]}
            rest = {prompt: answer for prompt, answer in state.items() if prompt != chosen}
            change, state = partial(_update, chosen, {"prompt": f"renamed {target}"}), {**rest, **renamed}
        else:
            change = partial(_purge if draw.random() < 2 * _RARELY else _remove, chosen)
            state = {prompt: answer for prompt, answer in state.items() if prompt != chosen}
        yield change, state


def _write(path: Path, sender: Connection, state: State, seed: int) -> None:
    """Follow the plan until killed; the first message says that the process runs."""
    # The lock that tqdm would make is a semaphore of the system, which a killed process leaves behind.
    tqdm.set_lock(threading.RLock())
    sender.send(None)
    with EditMemory(path, HashingEncoder()) as memory:
        for change, _ in plan(state, seed):
            change(memory)
            sender.send(None)


def _count(receiver: Connection) -> int:
    number = 0
    try:
        while receiver.poll(0):
            receiver.recv()
            number += 1
    except EOFError:
        pass
    return number


def _checked(
    path: Path, before: State, planned: Iterator[tuple[Change, State]], acknowledged: int, counts: Counts
) -> State:
    """Compare the memory with the plan; returns what it holds."""
    expected = before
    for _ in range(acknowledged):
        _, expected = next(planned)
    _, possible = next(planned)
    if not path.exists():
        return expected
    with closing(sqlite3.connect(path)) as connection:
        if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
            counts.corrupt.append(f"round {counts.kills}: SQLite finds the file damaged")
    with closing(SQLiteStore(path)) as store:
        if store.disagreeing() or any(entry.vectors is None for entry in store.entries()):
            counts.corrupt.append(f"round {counts.kills}: what is derived disagrees with the journal")
    encoder = HashingEncoder()
    with EditMemory(path, encoder) as memory:
        found = {edit.prompt: edit.target for edit in memory}
        if encoder.encoded:
            counts.corrupt.append(f"round {counts.kills}: vectors were missing")
        hits = memory.search(encoder.encode(list(found)), 1)
        if [row[0].edit.prompt for row in hits] != list(found):
            counts.corrupt.append(f"round {counts.kills}: the search does not find what is stored")
    if found == possible and found != expected:
        counts.finished_unacknowledged += 1
    elif found != expected:
        counts.lost.append(f"round {counts.kills}: expected {expected}, found {found}")
    return found


def _add(batch: State, memory: EditMemory) -> None:
    memory.add_many({"prompt": prompt, "target": target} for prompt, target in batch.items())


def _update(prompt: str, changes: State, memory: EditMemory) -> None:
    memory.update(_id(prompt, memory), **changes)


def _remove(prompt: str, memory: EditMemory) -> None:
    memory.remove(_id(prompt, memory))


def _purge(prompt: str, memory: EditMemory) -> None:
    memory.purge(_id(prompt, memory))


def _id(prompt: str, memory: EditMemory) -> str:
    return next(edit.id for edit in memory if edit.prompt == prompt)
