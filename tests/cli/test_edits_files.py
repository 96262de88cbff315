from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run, RunJson
from tests.transfer.test_import import BAD_LINES

LINES = [
    '{"prompt": "Who runs Acme?", "target": "Dana Reyes"}',
    '{"prompt": "", "target": "b"}',
    "{",
    '{"prompt": "Capital of Japan?", "target": "Kyoto"}',
]


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    """A memory file that does not exist yet."""
    return tmp_path / "edits.db"


@pytest.fixture
def spoilt(tmp_path: Path) -> Path:
    """A file of four rows, two of which are bad."""
    path = tmp_path / "spoilt.jsonl"
    path.write_text("\n".join(LINES))
    return path


@pytest.mark.parametrize("command", ["import", "add-many"])
def test_a_file_with_bad_rows_stores_none_and_shows_them_all(
    run: Run, memory: Path, spoilt: Path, command: str
) -> None:
    """Exit code 1, line and reason of every bad row on stderr, nothing on stdout, no memory made."""
    result = run("edits", command, spoilt, "--memory", memory)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "2 bad rows; nothing was stored (--skip-bad stores the others)" in result.stderr
    assert "│    2 │ prompt must not be empty, got ''" in result.stderr
    assert "│    3 │ expected a JSON list" in result.stderr
    assert "Traceback" not in result.stderr
    assert not memory.exists()


def test_bad_rows_are_there_for_programs(run: Run, memory: Path, spoilt: Path) -> None:
    """With --json stdout holds what was stored and each bad row, whether or not they are skipped."""
    refused = run("edits", "import", spoilt, "--memory", memory, "--json")
    assert refused.exit_code == 1
    values = json.loads(refused.stdout)
    assert (values["stored"], values["left_out"]) == ([], {})
    assert [row["line"] for row in values["bad"]] == [2, 3]
    assert values["bad"][0]["reason"] == "prompt must not be empty, got ''"
    skipped = run("edits", "import", spoilt, "--memory", memory, "--json", "--skip-bad", "--namespace", "news")
    assert skipped.exit_code == 0
    stored = json.loads(skipped.stdout)
    assert [(edit["target"], edit["namespace"]) for edit in stored["stored"]] == [
        ("Dana Reyes", "news"),
        ("Kyoto", "news"),
    ]
    assert stored["bad"] == values["bad"]


@pytest.mark.parametrize("as_json", [True, False])
def test_a_file_of_any_bytes_ends_in_a_report(run: Run, memory: Path, tmp_path: Path, as_json: bool) -> None:
    """Megabyte strings, NaN, null characters, lone surrogates and no UTF-8 are rows of the report."""
    path = tmp_path / "any.jsonl"
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line, _ in BAD_LINES))
    result = run("edits", "import", path, "--memory", memory, *(["--json"] if as_json else []))
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "24 bad rows" in result.stderr
    assert len(result.output) < 20_000
    if as_json:
        assert len(json.loads(result.stdout)["bad"]) == 24


def test_an_import_says_what_it_stored(run: Run, memory: Path, spoilt: Path) -> None:
    """The good rows are stored with --skip-bad, the progress is on stderr, the counts on stdout."""
    result = run("edits", "import", spoilt, "--memory", memory, "--skip-bad")
    assert (result.exit_code, result.stdout) == (0, "stored 2 edits; the memory holds 2\n")
    assert "2 bad rows" in result.stderr
    assert "2/2" in result.stderr


def test_a_data_file_can_be_imported(run: Run, run_json: RunJson, memory: Path, tmp_path: Path) -> None:
    """The edits of a benchmark file are stored by naming its format; useless records are counted."""
    data = tmp_path / "zsre.json"
    row = {"subject": "Ada", "src": "Where was Ada born?", "alt": "Rome", "answer": "Oslo", "rephrase": "Ada's city?"}
    data.write_text(json.dumps([row, {**row, "alt": ""}]))
    result = run("edits", "import", data, "--format", "zsre", "--memory", memory)
    assert result.exit_code == 0
    assert "left out 1 records: blank_target" in result.stderr
    assert [edit["target"] for edit in run_json("edits", "list", "--memory", memory)] == ["Rome"]


def test_exports_are_files_that_import_takes(run: Run, run_json: RunJson, memory: Path, tmp_path: Path) -> None:
    """A table and JSON Lines give back the same edits, on stdout and in a file the same bytes."""
    source = tmp_path / "edits.jsonl"
    source.write_text("\n".join([LINES[0], LINES[3]]))
    run_json("edits", "import", source, "--memory", memory)
    exports = {}
    for name in ("edits.csv", "copy.jsonl"):
        path, copy = tmp_path / name, tmp_path / f"{name}.db"
        assert run("edits", "export", "--memory", memory, "--output", path).exit_code == 0
        form = path.suffix[1:]
        assert run("edits", "export", "--memory", memory, "--format", form).stdout == path.read_text()
        run_json("edits", "import", path, "--memory", copy)
        exports[form] = run("edits", "export", "--memory", copy).stdout
    first, second = run_json("edits", "list", "--memory", memory)
    run_json("edits", "update", first["id"], "--target", "Max Ono", "--memory", memory)
    listed = run_json("edits", "export", "--memory", memory)
    assert [edit["id"] for edit in listed] == [second["id"], first["id"]]  # as in the other forms, the newest last
    header, *rows = exports["csv"].splitlines()
    assert json.loads(header) == {"format": "memedit-edits", "version": 1}
    assert rows == [LINES[0], LINES[3]]
    assert exports["jsonl"] == exports["csv"]
    refused = run("edits", "export", "--memory", memory, "--format", "knowedit")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "jsonl or csv" in refused.stderr
