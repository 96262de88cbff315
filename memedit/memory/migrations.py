"""How a memory file of an earlier schema becomes one of the next."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from types import MappingProxyType

from memedit.memory.rows import event_checksum
from memedit.memory.wordings import prompt_key

_TO_2 = """
CREATE TABLE events_2 (
    revision INTEGER PRIMARY KEY AUTOINCREMENT,
    action TEXT NOT NULL CHECK (action IN ('added', 'updated', 'removed', 'restored', 'purged')),
    edit_id TEXT NOT NULL,
    state TEXT NOT NULL,
    at TEXT NOT NULL,
    reverts INTEGER UNIQUE REFERENCES events (revision)
);
INSERT INTO events_2 SELECT revision, action, edit_id, state, at, reverts FROM events;
DROP TABLE events;
ALTER TABLE events_2 RENAME TO events;
CREATE INDEX events_of_edit ON events (edit_id, revision);
CREATE INDEX purged_edits ON events (edit_id) WHERE action = 'purged';
ALTER TABLE edits ADD COLUMN subject_key TEXT;
ALTER TABLE edits ADD COLUMN target_key TEXT;
UPDATE edits SET subject_key = text_key(json_extract(state, '$.subject'));
UPDATE edits SET target_key = text_key(json_extract(state, '$.target')) WHERE json_extract(state, '$.kind') <> 'erase'
"""

_TO_3 = """
ALTER TABLE edits DROP COLUMN state;
ALTER TABLE events ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
DROP INDEX events_of_edit;
CREATE INDEX events_of_edit ON events (edit_id, revision, action);
UPDATE events SET checksum = event_checksum(revision, action, edit_id, CAST(state AS BLOB), at, reverts)
"""

_ANY = -1
"""Number of arguments, in SQLite's words."""


def _to_2(connection: sqlite3.Connection) -> None:
    """Events may be purged, and edits are found by the entities they name."""
    _run(connection, _TO_2, "text_key", lambda text: None if text is None else prompt_key(text))


def _to_3(connection: sqlite3.Connection) -> None:
    """Events have checksums, and the state of an edit stands in its event alone."""
    _run(connection, _TO_3, "event_checksum", event_checksum)


def _run(connection: sqlite3.Connection, statements: str, name: str, function: Callable[..., str | int | None]) -> None:
    """Run statements that may call one function of ours."""
    connection.create_function(name, _ANY, function)
    for statement in statements.split(";"):
        connection.execute(statement)
    connection.create_function(name, _ANY, None)


MIGRATIONS: Mapping[int, Callable[[sqlite3.Connection], None]] = MappingProxyType({1: _to_2, 2: _to_3})
"""By schema version: what makes a file of that version one of the next. Each runs inside the one
transaction of the whole migration, must not end it, and is never changed once released. What it
says of the tables is therefore not taken from `memedit.memory.schema`, where it will change."""
