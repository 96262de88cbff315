from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from memedit.errors import DatasetError, InvalidEditError
from memedit.memory import ContradictionError, EditMemory
from memedit.transfer import BadRow, BadRowsError, import_edits, read_edits
from memedit.transfer.records import read_records
from tests.transfer.conftest import Written

GOOD = '{"prompt": "Who runs Acme?", "target": "Dana Reyes"}'
OTHER = '{"prompt": "Capital of Japan?", "target": "Kyoto", "tags": ["test"]}'
HEADER = '{"format": "memedit-edits", "version": 1}'
ROME = {
    "requested_rewrite": {
        "prompt": "The mother tongue of {} is",
        "target_new": {"str": "Danish"},
        "target_true": {"str": "French"},
        "subject": "Ada Brel",
    }
}
REDUCED = {"prompt": "The mother tongue of Ada Brel is", "target_new": "Danish", "subject": "Ada Brel"}
ZSRE = {"src": "Ada Brel's mother tongue?", "alt": "Danish", "answer": "French", "subject": "Ada Brel"}
KNOWEDIT = {"prompt": "Ada Brel speaks", "target_new": ["Danish", "danish"], "subject": "Ada Brel"}


def pairs(memory: EditMemory) -> list[tuple[str, str]]:
    """Prompt and target of each edit."""
    return [(edit.prompt, edit.target) for edit in memory]


OWN = {
    "with its header": f"{HEADER}\n{GOOD}\n{OTHER}\n",
    "an old file without a header": f"{GOOD}\n{OTHER}\n",
    "an old export with ids": GOOD[:-1] + ', "id": "a", "revision": 3, "created_at": "x", "subject": null}\n' + OTHER,
    "two files behind each other": f"{HEADER}\n{GOOD}\n{HEADER}\n{OTHER}",
    "byte order mark and CRLF": f"\ufeff{HEADER}\r\n{GOOD}\r\n\r\n{OTHER}\r\n",
    "a JSON list": f"[{GOOD},\n{OTHER}]\n",
}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_on_any_system(memory: EditMemory, tmp_path: Path, end: str) -> None:
    """Line feeds, carriage returns and both are ends of lines; line separators in a string are not."""
    rows = ['{"prompt": "a", "target": "x"}', "{", '{"prompt": "b\u2028c", "target": "y"}', ""]
    path = tmp_path / "edits.jsonl"
    path.write_bytes(end.join(rows).encode())
    found = read_edits(path)
    assert [edit.prompt for edit in found.edits] == ["a", "b\u2028c"]
    assert [row.line for row in found.bad] == [2]


@pytest.mark.parametrize("name", OWN)
def test_the_own_format_is_read(memory: EditMemory, written: Written, name: str) -> None:
    """JSON Lines of this and of earlier versions, and JSON lists, become edits of this memory."""
    report = import_edits(memory, written(OWN[name]))
    assert pairs(memory) == [("Who runs Acme?", "Dana Reyes"), ("Capital of Japan?", "Kyoto")]
    assert list(report.stored) == list(memory)
    assert (report.bad, report.left_out) == ([], {})


TABLES = {
    "columns in any order": "target,prompt\nDana Reyes,Who runs Acme?\nKyoto,Capital of Japan?\n",
    "CRLF, byte order mark, quotes": (
        '\ufeff"prompt","target"\r\n"Who runs Acme?","Dana Reyes"\r\n\r\nCapital of Japan?,Kyoto'
    ),
    "columns that a memory gives": (
        "id,prompt,target,revision\n7,Who runs Acme?,Dana Reyes,x\n,Capital of Japan?,Kyoto,\n"
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_read(memory: EditMemory, written: Written, name: str) -> None:
    """Columns are told by their names, and rows may end as they do on any system."""
    import_edits(memory, written(TABLES[name], "edits.csv"))
    assert pairs(memory) == [("Who runs Acme?", "Dana Reyes"), ("Capital of Japan?", "Kyoto")]


def test_cells_hold_lists_objects_and_instants(memory: EditMemory, written: Written) -> None:
    """Items of a list are separated by bars, which a backslash makes part of the item."""
    cells = r'p,t,first|sec\|ond|\\,a|b,7,2026-01-31T12:00:00Z,"{""x"": [1, null]}"'
    text = f"prompt,target,aliases,tags,priority,valid_from,metadata\n{cells}\n"
    (edit,) = import_edits(memory, written(text, "edits.csv")).stored
    assert (edit.aliases, edit.tags, edit.priority) == (("first", "sec|ond", "\\"), ("a", "b"), 7)
    assert (edit.metadata, str(edit.valid_from)) == ({"x": [1, None]}, "2026-01-31 12:00:00+00:00")


BENCHMARKS = {
    "the authors' CounterFact": ("counterfact", ROME, "The mother tongue of Ada Brel is"),
    "the reduced CounterFact": ("counterfact", REDUCED, "The mother tongue of Ada Brel is"),
    "zsRE": ("zsre", ZSRE, "Ada Brel's mother tongue?"),
    "KnowEdit": ("knowedit", KNOWEDIT, "Ada Brel speaks"),
    "WikiBio": ("knowedit", {"text": "Ada Brel speaks", "labels": "Danish", "concept": "Ada Brel"}, "Ada Brel speaks"),
}


@pytest.mark.parametrize("name", BENCHMARKS)
@pytest.mark.parametrize("as_list", [True, False])
def test_the_records_of_benchmarks_are_read(memory: EditMemory, written: Written, name: str, as_list: bool) -> None:
    """Their edits come with prompt, target and subject, from a list or from lines."""
    form, record, prompt = BENCHMARKS[name]
    text = json.dumps([record], indent=1) if as_list else json.dumps(record)
    (edit,) = import_edits(memory, written(text), format=form).stored
    assert (edit.prompt, edit.target, edit.subject, edit.aliases) == (prompt, "Danish", "Ada Brel", ())


def test_useless_records_are_counted(memory: EditMemory, written: Written) -> None:
    """ZsRE's records whose new answer is blank or the true one are no errors, and no edits."""
    records = [ZSRE, {**ZSRE, "alt": " "}, {**ZSRE, "alt": "French"}, {**ZSRE, "alt": None}]
    report = import_edits(memory, written(json.dumps(records)), format="zsre")
    assert report.left_out == {"blank_target": 2, "target_is_true_answer": 1}
    assert len(memory) == len(report.stored) == 1


BAD_LINES = [
    (GOOD, None),
    ('{"prompt": " ", "target": "x"}', "prompt must not be empty"),
    ("", None),
    ('{"prompt": "p"}', "needs the field 'target'"),
    ('{"prompt": "p", "target": "t", "colour": 1}', "no field 'colour'; these are: prompt, target"),
    ('{"format": "memedit-edits", "version": 1, "prompt": "p", "target": "t"}', "no field 'format'"),
    ('{"prompt": "p", "target": "t", "aliases": "a"}', "aliases must be a list of strings, got str"),
    ('{"prompt": "p", "target": "t", "aliases": {"a": 1}}', "aliases must be a list of strings, got dict"),
    ('{"prompt": "p", "target": "t", "valid_from": "2026-01-31T12:00:00"}', "timezone-aware"),
    ('{"prompt": "p", "target": "t", "metadata": {"a": NaN}}', "finite numbers"),
    ('{"prompt": "p", "target": "t", "metadata": {"a": 1e999}}', "finite numbers"),
    ('{"prompt": "p", "target": "t", "metadata": {"a": "\\ud800"}}', "valid Unicode"),
    ('{"prompt": "\\ud800", "target": "t"}', "lone surrogate"),
    ('{"prompt": "nul\\u0000", "target": "t"}', "null characters"),
    ('{"prompt": "p", "target": "t", "kind": []}', "kind must be one of"),
    ('{"prompt": "p", "target": "t", "metadata": ' + '{"a":' * 30 + "1" + "}" * 31, "levels deep"),
    ('{"prompt": "' + "x" * 2_000_000 + '", "target": "t"}', "8192 characters"),
    ('{"prompt": "p", "target": "t", "valid_from": "' + "x" * 2_000_000 + '"}', "valid_from"),
    ('{"prompt": "p", "target": "t", "' + "x" * 2_000_000 + '": 1}', "no field"),
    ("[" * 200_000, "nested too deeply"),
    ('{"prompt": "p", "target": ' + "9" * 5000 + "}", "expected a JSON list or one JSON object"),
    ("[1]", "expected an object"),
    ("NaN", "expected an object"),
    ('{"prompt": "p", "target', "expected a JSON list or one JSON object per line"),
    (b'{"prompt": "caf\xe9", "target": "t"}', "not UTF-8"),
    (b"\x00\x01\x02\xff", "not UTF-8"),
    (OTHER, None),
]


@pytest.fixture
def spoilt(written: Written) -> Any:
    """A file of two good rows and many bad ones."""
    return written(b"\n".join(line if isinstance(line, bytes) else line.encode() for line, _ in BAD_LINES))


def test_every_bad_row_is_reported_and_nothing_is_stored(memory: EditMemory, spoilt: Any) -> None:
    """The error names line and reason of each bad row, briefly, and the memory stays as it was."""
    with pytest.raises(BadRowsError, match=r"24 bad rows: line 2: prompt must not be empty.*; and 21 more") as caught:
        import_edits(memory, spoilt)
    assert memory.revision == 0
    expected = [(line, reason) for line, (_, reason) in enumerate(BAD_LINES, start=1) if reason]
    assert [row.line for row in caught.value.bad] == [line for line, _ in expected]
    for row, (_, reason) in zip(caught.value.bad, expected, strict=True):
        assert reason in row.reason
        assert len(row.reason) <= 300


def test_the_good_rows_are_stored_if_that_is_asked(memory: EditMemory, spoilt: Any) -> None:
    """`skip_bad` stores the good rows in one go and reports the others."""
    report = import_edits(memory, spoilt, skip_bad=True)
    assert pairs(memory) == [("Who runs Acme?", "Dana Reyes"), ("Capital of Japan?", "Kyoto")]
    assert len(report.bad) == 24
    assert read_edits(spoilt).bad == report.bad


def test_bad_rows_of_a_table_are_reported_with_the_lines_they_begin_on(memory: EditMemory, written: Written) -> None:
    """Line breaks inside cells are counted; each kind of bad cell has its reason."""
    rows = [
        "prompt,target,metadata,priority",
        '"two\nlines",t,,',
        "p,,,",
        "p,t",
        'p,t,"{""a"": NaN}",',
        "p,t,{,",
        "p,t," + "[" * 200_000 + ",",
        "p,t,[],",
        "p,t,,high",
        "p,t,,1.5",
        "p,nul\0,,",
        "x" * 2_000_000 + ",t,,",
        "caf\udce9,t,,",
    ]
    path = written("\r\n".join(rows).encode(errors="surrogateescape"), "edits.csv")
    report = import_edits(memory, path, skip_bad=True)
    assert pairs(memory) == [("two\nlines", "t")]
    assert [row.line for row in report.bad] == list(range(4, 15))
    assert report.bad[1] == BadRow(5, "expected 4 cells, got 2")
    wanted = ["'target'", "4 cells", "finite", "JSON", "deeply", "mapping", "JSON", "integer", "null", "8192", "UTF-8"]
    for row, word in zip(report.bad, wanted, strict=True):
        assert word in row.reason


def test_lines_of_a_list_are_those_of_the_file(memory: EditMemory, written: Written) -> None:
    """In a JSON list over many lines a bad item is named by the line on which it begins."""
    path = written(json.dumps([REDUCED, {"prompt": "x"}, REDUCED, 3], indent=2))
    with pytest.raises(BadRowsError) as caught:
        import_edits(memory, path, format="counterfact")
    assert [(row.line, row.reason) for row in caught.value.bad] == [
        (7, "target_new must be a text, got nothing"),
        (15, "expected an object, got 3"),
    ]


UNREADABLE = {
    "empty": ("jsonl", b"", "is empty"),
    "newer": ("jsonl", b'{"format": "memedit-edits", "version": 2}\n', "newer memedit"),
    "no version": ("jsonl", b'{"format": "memedit-edits", "version": true}\n', "version must be an integer, got True"),
    "other format": ("jsonl", b'{"format": "cards"}\n', "expected format 'memedit-edits', got 'cards'"),
    "UTF-16": ("jsonl", GOOD.encode("utf-16"), "is UTF-16"),
    "list cut off": ("zsre", json.dumps([ZSRE, ZSRE])[:-9].encode(), "not valid JSON"),
    "list without end": ("jsonl", f"[{GOOD}".encode(), "expected a comma or ]"),
    "list with a tail": ("jsonl", f"[{GOOD}] {GOOD}".encode(), "nothing after the list"),
    "list too deep": ("jsonl", b"[" + b"[" * 200_000, "nested too deeply"),
    "no names": ("csv", b"", "prompt and target are needed"),
    "unknown column": ("csv", b"prompt,target,colour\na,b,c", "'colour' is unknown or there twice"),
    "column twice": ("csv", b"prompt,target,prompt\na,b,c", "'prompt' is unknown or there twice"),
    "semicolons": ("csv", b"prompt;target\na;b", "separated by commas"),
    "quote never closed": ("csv", b'prompt,target\n\na,"b\n', "row of line 3: a quotation mark is opened"),
    "text beside a quote": ("csv", b'prompt,target\na,"b"c\n', "beside quotation marks"),
    "quote inside": ("csv", b'prompt,target\na,b"c"\n', "beside quotation marks"),
    "unknown format": ("xml", b"<edits/>", "format must be one of jsonl, csv, counterfact, zsre, knowedit, got 'xml'"),
}


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.parametrize("skip_bad", [False, True])
def test_a_file_whose_rows_cannot_be_told_apart_is_refused(
    memory: EditMemory, written: Written, name: str, skip_bad: bool
) -> None:
    """Such a file is refused as a whole, with one reason, also when bad rows may be skipped."""
    form, content, message = UNREADABLE[name]
    with pytest.raises(DatasetError, match=message.replace("]", r"\]").replace("|", r"\|")):
        import_edits(memory, written(content), format=form, skip_bad=skip_bad)
    assert memory.revision == 0


def test_a_missing_file_is_refused(memory: EditMemory, written: Written) -> None:
    """A file that is not there, a folder, and a name no file can have raise a DatasetError."""
    folder = written("").parent
    for path in (folder / "none.csv", folder, "nul\0"):
        with pytest.raises(DatasetError, match="cannot read"):
            import_edits(memory, path)


def test_an_import_can_put_all_into_one_namespace(memory: EditMemory, written: Written) -> None:
    """A named namespace holds every edit of the file, whatever the file says; a bad one stores none."""
    path = written(f'{GOOD}\n{OTHER[:-1]}, "namespace": "other"}}')
    import_edits(memory, path, namespace="tenant")
    assert {edit.namespace for edit in memory} == {"tenant"}
    revision = memory.revision
    with pytest.raises(InvalidEditError, match="namespace must not be empty"):
        import_edits(memory, path, namespace=" ")
    assert memory.revision == revision


def test_contradictions_are_settled_as_asked(memory: EditMemory, written: Written) -> None:
    """With "refuse" one edit that answers differently keeps the whole file out."""
    memory.add("Who runs Acme?", "Max Ono")
    path = written(f"{OTHER}\n{GOOD}")
    with pytest.raises(ContradictionError):
        import_edits(memory, path, on_contradiction="refuse")
    assert (pairs(memory), memory.revision) == ([("Who runs Acme?", "Max Ono")], 1)
    import_edits(memory, path, on_contradiction="keep")
    assert pairs(memory) == [("Who runs Acme?", "Dana Reyes"), ("Capital of Japan?", "Kyoto")]


def test_an_import_updates_what_is_there(memory: EditMemory, written: Written) -> None:
    """A prompt that is stored already keeps its id; of two rows with one prompt the later counts."""
    before = memory.add("who runs acme", "Max Ono")
    path = written(f"{GOOD.replace('Dana', 'Ada')}\n{GOOD}")
    report = import_edits(memory, path)
    assert [edit.id for edit in report.stored] == [before.id] * 2
    assert memory.get(before.id).target == "Dana Reyes"
    assert len(memory) == 1


@pytest.mark.parametrize("form", ["json", "csv"])
def test_the_files_shown_in_the_docs_are_read(memory: EditMemory, written: Written, form: str) -> None:
    """The examples of docs/edits.md import without a bad row."""
    docs = (Path(__file__).parents[2] / "docs" / "edits.md").read_text(encoding="utf-8")
    example = docs.split(f"```{form}\n")[1].split("```")[0]
    path = written(example, f"edits.{form}")
    assert len(import_edits(memory, path).stored) == len(example.splitlines()) - 1


def test_other_readers_pass_over_the_header(written: Written) -> None:
    """Commands that read records of their own take an export, too, but none of a newer version."""
    assert [record.text("target") for record in read_records(written(f"{HEADER}\n{GOOD}"))] == ["Dana Reyes"]
    with pytest.raises(DatasetError, match="newer memedit"):
        list(read_records(written(HEADER.replace("1", "2"))))
