from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from memedit.cli import app
from memedit.memory import EditMemory
from memedit.scope import SentenceEncoder
from tests.cli.conftest import Run, RunJson


@pytest.fixture
def ids(encoder: SentenceEncoder, memory: Path) -> list[str]:
    """Ids of three edits of the memory: revisions 1 to 3, then the first is changed."""
    with EditMemory(memory, encoder) as store:
        edits = [
            store.add("Who runs Acme?", "Dana Reyes", tags=["staff"], metadata={"source": "wire"}),
            store.add("Where was Dana Reyes born?", "Oslo", kind="insert", tags=["staff", "places"]),
            store.add("Who wrote Dune?", "I may not say.", kind="erase", namespace="books"),
        ]
        store.update(edits[0].id, target="Max Ono")
    return [edit.id for edit in edits]


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    """Where the memory file is to be."""
    return tmp_path / "edits.db"


FILTERS = {
    "none": ((), [0, 1, 2]),
    "namespace": (("--namespace", "books"), [2]),
    "all of two tags": (("--tag", "staff", "--tag", "places"), [1]),
    "metadata": (("--metadata", '{"source": "wire"}'), [0]),
    "kind": (("--kind", "insert"), [1]),
    "text": (("--text", "DANA"), [1]),
    "page": (("--limit", "1", "--offset", "1"), [1]),
    "page of a filter": (("--tag", "staff", "--offset", "1"), [1]),
    "text in the past": (("--text", "DANA", "--at", "3"), [0, 1]),
    "the beginning": (("--at", "0"), []),
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_list_holds_what_was_asked_for(run_json: RunJson, memory: Path, ids: list[str], name: str) -> None:
    """Filters, pages and past revisions can be combined."""
    arguments, expected = FILTERS[name]
    found = run_json("edits", "list", "--memory", memory, *arguments)
    assert [edit["id"] for edit in found] == [ids[position] for position in expected]


def test_a_page_says_how_many_there_are(run: Run, memory: Path, ids: list[str]) -> None:
    """The title of a page counts the edits of all pages."""
    assert "1 of 2 edits" in run("edits", "list", "--memory", memory, "--tag", "staff", "--limit", "1").stdout


def test_the_past_can_be_shown_compared_and_exported(run: Run, run_json: RunJson, memory: Path, ids: list[str]) -> None:
    """`--at` shows a former state, `diff` what changed since, or between two revisions."""
    assert run_json("edits", "show", ids[0], "--memory", memory, "--at", "1")["target"] == "Dana Reyes"
    changes = run_json("edits", "diff", "1", "--memory", memory)
    assert [edit["id"] for edit in changes["added"]] == ids[1:]
    assert [(pair["before"]["target"], pair["after"]["target"]) for pair in changes["changed"]] == [
        ("Dana Reyes", "Max Ono")
    ]
    assert [edit["id"] for edit in run_json("edits", "diff", "3", "1", "--memory", memory)["removed"]] == ids[1:]
    assert "Dana Reyes → Max Ono" in run("edits", "diff", "3", "4", "--memory", memory).stdout
    exported = run("edits", "export", "--memory", memory, "--at", "1").stdout.splitlines()
    assert [json.loads(line)["target"] for line in exported[1:]] == ["Dana Reyes"]
    for arguments in (("list", "--at", "9"), ("diff", "1", "9")):
        result = run("edits", *arguments, "--memory", memory)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "between 0 and 4" in result.stderr


def test_linked_edits_are_shown(run: Run, run_json: RunJson, memory: Path, ids: list[str]) -> None:
    """An edit about another one's target is found from both sides."""
    run("edits", "update", ids[0], "--target", "Dana Reyes", "--priority", "2", "--tag", "boss", "--memory", memory)
    links = run_json("edits", "linked", ids[0], "--memory", memory)
    assert ([edit["id"] for edit in links["onward"]], links["back"]) == ([ids[1]], [])
    assert "back" in run("edits", "linked", ids[1], "--memory", memory).stdout
    shown = run_json("edits", "show", ids[0], "--memory", memory)
    assert (shown["priority"], shown["tags"]) == (2, ["boss"])


def test_a_purged_edit_is_gone_for_good(run: Run, run_json: RunJson, memory: Path, ids: list[str]) -> None:
    """`purge` asks first; then neither history, list nor file hold a word of the edit."""
    refused = CliRunner().invoke(app, ["edits", "purge", ids[0], "--memory", str(memory)], input="n\n")
    assert refused.exit_code == 1
    assert "Nothing can bring it back" in refused.stderr
    assert b"Max Ono" in b"".join(file.read_bytes() for file in memory.parent.iterdir())
    (event,) = run_json("edits", "purge", ids[0], "--memory", memory, "--yes")
    assert (event["action"], event["edit"]["id"]) == ("purged", ids[0])
    assert [edit["id"] for edit in run_json("edits", "list", "--memory", memory)] == ids[1:]
    history = run("edits", "history", ids[0], "--memory", memory, "--json").stdout
    assert [event["action"] for event in json.loads(history)] == ["added", "updated", "purged"]
    held = history.encode() + b"".join(file.read_bytes() for file in memory.parent.iterdir())
    assert b"Max Ono" not in held
    assert b"Who runs Acme" not in held


def test_a_removed_edit_can_be_restored(run: Run, run_json: RunJson, memory: Path, ids: list[str]) -> None:
    """`restore` brings it back as it was; an edit that is there needs none."""
    removed = run_json("edits", "remove", ids[2], "--memory", memory)
    assert run_json("edits", "restore", ids[2], "--memory", memory)["target"] == removed["target"]
    result = run("edits", "restore", ids[2], "--memory", memory)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "only a removed edit can be restored" in result.stderr


def test_a_backup_is_a_memory_with_its_history(run: Run, run_json: RunJson, memory: Path, ids: list[str]) -> None:
    """The copy holds the same edits and events, and never replaces a file."""
    copy = memory.with_name("copy.db")
    assert run("edits", "backup", copy, "--memory", memory).exit_code == 0
    for arguments in (("list",), ("history", ids[0])):
        assert run_json("edits", *arguments, "--memory", copy) == run_json("edits", *arguments, "--memory", memory)
    result = run("edits", "backup", copy, "--memory", memory)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "exists already" in result.stderr


def test_a_contradicting_edit_is_reported_or_refused(run: Run, memory: Path, ids: list[str]) -> None:
    """`add` names the edit whose answer it replaces, without the answer; or stores nothing."""
    arguments = ("edits", "add", "Who runs Acme", "Eve Poe", "--memory", memory)
    refused = run(*arguments, "--on-contradiction", "refuse")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert ids[0] in refused.stderr
    added = run(*arguments)
    assert added.exit_code == 0
    assert f"'Who runs Acme' had another answer in edit {ids[0]} (newest)" in added.stderr
    assert "Max Ono" not in added.output
