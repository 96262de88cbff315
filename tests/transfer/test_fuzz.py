"""Files that nobody wrote by hand: an import ends in a memedit error or in edits, never between."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memedit.edits import Edit
from memedit.errors import MemeditError
from memedit.memory import EditMemory
from memedit.transfer import EditFormat, format_edits, import_edits
from tests.memory.hashing import HashingEncoder
from tests.transfer.strategies import contents, wrong_values
from tests.transfer.test_import import KNOWEDIT, REDUCED, ROME, ZSRE

FIELDS = list(Edit.__dataclass_fields__)
EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "jsonl": [{"prompt": "p", "target": "t"}],
    "counterfact": [ROME, REDUCED, ROME["requested_rewrite"]],
    "zsre": [ZSRE],
    "knowedit": [KNOWEDIT],
}
SCRAPS = [b"\n", b"\r\n", b'"', b",", b"\\", b"\x00", b"\xff", b"\xef\xbb\xbf", b"NaN", b"{", b"]", b"|", b"\\ud800"]


def imported(data: bytes, form: str) -> None:
    """Import this file with and without `skip_bad` into a memory that holds an edit."""
    with tempfile.TemporaryDirectory() as folder, EditMemory(None, HashingEncoder()) as memory:
        path = Path(folder) / "edits"
        path.write_bytes(data)
        memory.add("Who runs Acme?", "Dana Reyes")
        for skip_bad in (False, True):
            revision, before = memory.revision, list(memory)
            try:
                report = import_edits(memory, path, format=form, skip_bad=skip_bad)
            except MemeditError:
                assert (memory.revision, list(memory)) == (revision, before)
            else:
                assert memory.revision == revision + len(report.stored)
                assert skip_bad or not report.bad


@pytest.mark.parametrize("form", EditFormat)
@settings(max_examples=40, deadline=None)
@given(data=st.binary(max_size=60) | st.text(max_size=40).map(lambda text: text.encode(errors="surrogatepass")))
def test_any_bytes(form: EditFormat, data: bytes) -> None:
    """Whatever bytes a file holds, the import ends as it should."""
    imported(data, form)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@settings(max_examples=40, deadline=None)
@given(data=st.data(), items=st.lists(contents, min_size=1, max_size=3))
def test_damaged_exports(form: str, data: st.DataObject, items: list[dict[str, Any]]) -> None:
    """An export that was cut off, spliced or has foreign bytes in it."""
    edits = [Edit(id=str(number), **item) for number, item in enumerate(items)]
    whole = format_edits(edits, EditFormat(form)).encode()
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    imported(whole[:start] + data.draw(st.sampled_from([b"", *SCRAPS])) + whole[end:], form)


@pytest.mark.parametrize("form", EXAMPLES)
@settings(max_examples=60, deadline=None)
@given(data=st.data(), as_list=st.booleans())
def test_fields_of_the_wrong_kind(form: str, data: st.DataObject, as_list: bool) -> None:
    """Records whose fields hold anything JSON can, in lines and in a list."""
    records = []
    for _ in range(data.draw(st.integers(1, 3))):
        record = dict(data.draw(st.sampled_from(EXAMPLES[form])))
        names = st.sampled_from(sorted({*record, *(FIELDS if form == "jsonl" else ["labels", "text", "version"])}))
        record.update(data.draw(st.dictionaries(names, wrong_values, max_size=3)))
        records.append(record)
    text = json.dumps(records) if as_list else "\n".join(map(json.dumps, records))
    imported(text.encode(), form)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_cells_of_the_wrong_kind(data: st.DataObject) -> None:
    """Tables whose cells hold any text, with any of the columns."""
    names = ["prompt", "target", *data.draw(st.lists(st.sampled_from(FIELDS[3:]), unique=True))]
    cell = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | wrong_values.map(json.dumps)
    rows = data.draw(st.lists(st.lists(cell, min_size=len(names), max_size=len(names)), max_size=3))
    quoted = [",".join('"' + text.replace('"', '""') + '"' for text in row) for row in [names, *rows]]
    imported("\n".join(quoted).encode(), "csv")
