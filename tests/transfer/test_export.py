from __future__ import annotations

import json
import os
import stat
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memedit.errors import DatasetError, MemoryFileError
from memedit.memory import EditMemory
from memedit.memory.wordings import prompt_key
from memedit.transfer import export_edits, import_edits
from memedit.transfer.formats import DEFAULTS
from tests.memory.hashing import HashingEncoder
from tests.transfer.strategies import contents

FORMATS = ["jsonl", "csv"]


def said(memory: EditMemory) -> list[dict[str, Any]]:
    """What the user set in each edit, the one changed last at the end."""
    edits = sorted(memory, key=lambda edit: edit.revision)
    return [{name: edit.to_dict()[name] for name in DEFAULTS} for edit in edits]


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=60, deadline=None)
@given(items=st.lists(contents, max_size=4, unique_by=lambda item: prompt_key(item["prompt"])))
def test_an_export_imports_back_to_an_equal_memory(form: str, items: list[dict[str, Any]]) -> None:
    """Whatever the edits hold, an import has the same edits and exports the same bytes."""
    with tempfile.TemporaryDirectory() as folder:
        first, again, second = (Path(folder) / name for name in ("first", "again", "second"))
        with EditMemory(None, HashingEncoder()) as memory, EditMemory(None, HashingEncoder()) as other:
            memory.add_many(items)
            export_edits(memory, first, format=form)
            export_edits(memory, again, format=form)
            import_edits(other, first, format=form)
            export_edits(other, second, format=form)
            assert said(other) == said(memory)
        assert first.read_bytes() == again.read_bytes() == second.read_bytes()


def filled(memory: EditMemory) -> None:
    """Three edits, the first of which is changed last."""
    first = memory.add("Who runs Acme?", "Dana Reyes", metadata={"b": 1, "a": [2]}, aliases=["Acme's boss?", "a|b"])
    memory.add("Who wrote Dune?", "I may not say.", kind="erase", namespace="books")
    memory.add("Capital of Japan?", "Kyōto", valid_from=datetime(2026, 1, 31, tzinfo=UTC))
    memory.update(first.id, target="Max Ono")


def test_the_own_format_is_as_the_docs_show_it(memory: EditMemory, tmp_path: Path) -> None:
    """A line names the format, defaults and what a memory gives are left out, keys are sorted."""
    filled(memory)
    assert export_edits(memory, tmp_path / "edits.jsonl") == 3
    assert (tmp_path / "edits.jsonl").read_text(encoding="utf-8").splitlines() == [
        '{"format": "memedit-edits", "version": 1}',
        '{"prompt": "Who wrote Dune?", "target": "I may not say.", "kind": "erase", "namespace": "books"}',
        '{"prompt": "Capital of Japan?", "target": "Kyōto", "valid_from": "2026-01-31T00:00:00+00:00"}',
        '{"prompt": "Who runs Acme?", "target": "Max Ono", "aliases": ["Acme\'s boss?", "a|b"], '
        '"metadata": {"a": [2], "b": 1}}',
    ]


def test_a_table_has_a_column_for_each_field(memory: EditMemory, tmp_path: Path) -> None:
    """A file named .csv is a table: lists are separated by bars, metadata is JSON."""
    filled(memory)
    export_edits(memory, tmp_path / "edits.CSV")
    header, *rows = (tmp_path / "edits.CSV").read_text(encoding="utf-8").splitlines()
    assert header == "prompt,target,kind,subject,aliases,namespace,valid_from,valid_until,metadata,tags,priority,editor"
    assert rows == [
        "Who wrote Dune?,I may not say.,erase,,,books,,,,,,",
        "Capital of Japan?,Kyōto,,,,,2026-01-31T00:00:00+00:00,,,,,",
        'Who runs Acme?,Max Ono,,,Acme\'s boss?|a\\|b,,,,"{""a"": [2], ""b"": 1}",,,',
    ]


def test_of_two_edits_that_differ_the_newer_stays_the_newer(
    memory: EditMemory, other: EditMemory, tmp_path: Path
) -> None:
    """An import stores the edits in the order of their last change."""
    filled(memory)
    export_edits(memory, tmp_path / "edits.jsonl")
    import_edits(other, tmp_path / "edits.jsonl")
    assert [edit.target for edit in other] == ["I may not say.", "Kyōto", "Max Ono"]


def test_edits_that_were_kept_beside_each_other_stay_so(tmp_path: Path) -> None:
    """Priorities are those of the file where an import is told to keep both of what differs."""
    judge = {"same_fact": lambda _, others: [True] * len(others)}
    with EditMemory(None, HashingEncoder(), **judge) as memory, EditMemory(None, HashingEncoder(), **judge) as other:
        memory.add("red fish", "one", priority=5)
        memory.add("red fish big", "two", on_contradiction="keep")
        export_edits(memory, tmp_path / "edits.jsonl")
        import_edits(other, tmp_path / "edits.jsonl", on_contradiction="keep")
        export_edits(other, tmp_path / "again.jsonl")
        assert [edit.priority for edit in other] == [5, 0]
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "edits.jsonl").read_bytes()


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_who_could_not_read_the_old_file_cannot_read_the_new_one(memory: EditMemory, tmp_path: Path) -> None:
    """An export keeps the permissions of the file that it replaces, and touches no other."""
    path = tmp_path / "edits.jsonl"
    path.write_text("old")
    path.chmod(0o600)
    (tmp_path / "edits.jsonl.part").write_text("mine")
    filled(memory)
    export_edits(memory, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {file.name for file in tmp_path.iterdir()} >= {"edits.jsonl", "edits.jsonl.part"}
    assert (tmp_path / "edits.jsonl.part").read_text() == "mine"
    assert not list(tmp_path.glob("memedit-*"))


@pytest.mark.parametrize("form", FORMATS)
def test_only_one_namespace_is_exported_if_it_is_named(memory: EditMemory, tmp_path: Path, form: str) -> None:
    """Nothing of another namespace comes into the file, and an empty export is no error to import."""
    filled(memory)
    path = tmp_path / "edits"
    assert export_edits(memory, path, namespace="books", format=form) == 1
    assert "Acme" not in path.read_text(encoding="utf-8")
    assert export_edits(memory, path, namespace="nobody's", format=form) == 0
    revision = memory.revision
    assert import_edits(memory, path, format=form).stored == []
    assert memory.revision == revision


def test_a_past_state_can_be_exported(memory: EditMemory, other: EditMemory, tmp_path: Path) -> None:
    """What a memory was at a revision is exported as it was."""
    filled(memory)
    export_edits(memory.at(1), tmp_path / "edits.csv")
    import_edits(other, tmp_path / "edits.csv")
    assert [(edit.prompt, edit.target) for edit in other] == [("Who runs Acme?", "Dana Reyes")]


def test_what_cannot_be_written_is_refused_and_leaves_the_old_file(memory: EditMemory, tmp_path: Path) -> None:
    """A format that is read only, an unknown one and a folder as file are clear errors."""
    filled(memory)
    path = tmp_path / "edits.jsonl"
    path.write_text("old")
    with pytest.raises(DatasetError, match="written as jsonl or csv, not as zsre"):
        export_edits(memory, path, format="zsre")
    with pytest.raises(DatasetError, match="format must be one of jsonl, csv"):
        export_edits(memory, path, format="xml")
    assert path.read_text() == "old"
    with pytest.raises(MemoryFileError, match="cannot write"):
        export_edits(memory, tmp_path)
    with pytest.raises(MemoryFileError, match="cannot write"):
        export_edits(memory, tmp_path / "none" / "edits.jsonl")
    assert [file.name for file in tmp_path.iterdir()] == ["edits.jsonl"]


def test_a_link_or_device_stays_what_it_is(memory: EditMemory, tmp_path: Path) -> None:
    """Through a link the file behind it is replaced; a device is written to."""
    filled(memory)
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "real.jsonl")
    export_edits(memory, tmp_path / "link.jsonl")
    assert (tmp_path / "link.jsonl").is_symlink()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["link.jsonl", "real.jsonl"]
    assert export_edits(memory, "/dev/null") == 3
    assert Path("/dev/null").is_char_device()


def test_each_line_of_an_export_is_json(memory: EditMemory, tmp_path: Path) -> None:
    """Line breaks in a text do not break lines of the file."""
    memory.add("two\nlines\r\n", "a\u2028b")
    export_edits(memory, tmp_path / "edits.jsonl")
    lines = (tmp_path / "edits.jsonl").read_text(encoding="utf-8").rstrip("\n").split("\n")
    assert json.loads(lines[1]) == {"prompt": "two\nlines\r\n", "target": "a\u2028b"}
