"""How a memory file of an earlier schema becomes one of the next."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from types import MappingProxyType

from memedit.memory.wordings import prompt_key

_EVENTS_2 = """
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


def _to_2(connection: sqlite3.Connection) -> None:
    """Events may be purged, and edits are found by the entities they name."""
    connection.create_function("text_key", 1, lambda text: None if text is None else prompt_key(text))
    for statement in _EVENTS_2.split(";"):
        connection.execute(statement)
    connection.create_function("text_key", 1, None)


MIGRATIONS: Mapping[int, Callable[[sqlite3.Connection], None]] = MappingProxyType({1: _to_2})
"""By schema version: what makes a file of that version one of the next. Each runs inside the one
transaction of the whole migration, must not end it, and is never changed once released."""
