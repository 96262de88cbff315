from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from memedit.cli.options import DataFormat
from memedit.errors import DatasetError
from memedit.evaluation.cases import LocalityKind, PortabilityKind, portability_kind
from memedit.evaluation.datasets import DATASETS, FORMATS, load_dataset
from memedit.evaluation.datasets.hub import fetch_records
from memedit.evaluation.datasets.info import HubSource
from memedit.evaluation.datasets.registry import READERS
from tests.evaluation.test_datasets import KNOWEDIT, ROME


class Hub:
    """Stands in for the library `datasets`: gives rows or fails, and remembers what was asked."""

    def __init__(self, answer: list[dict[str, Any]] | Exception) -> None:
        """Take what to answer."""
        self.answer = answer
        self.asked: list[tuple[Any, ...]] = []

    def load_dataset(self, path: str, *, data_files: str | None, split: str) -> list[dict[str, Any]]:
        """The rows, or the failure."""
        self.asked.append((path, data_files, split))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def installed(monkeypatch: pytest.MonkeyPatch, answer: list[dict[str, Any]] | Exception) -> Hub:
    """The stand-in, put where the library would be imported from."""
    hub, module = Hub(answer), ModuleType("datasets")
    module.load_dataset = hub.load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)
    return hub


def test_a_data_set_is_fetched_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name alone fetches the data set with the library `datasets` and reads it like a file."""
    hub = installed(monkeypatch, [ROME])
    (case,) = load_dataset("counterfact").cases
    assert (case.row, case.prompt) == (1, "The mother tongue of Ada Brel is")
    assert hub.asked == [("azhx/counterfact", None, "train+test")]


def test_fields_that_the_library_fills_with_none_count_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kinds of questions that other records have, and this one has as None, are no error."""
    hub = installed(monkeypatch, [{**KNOWEDIT, "portability": {"Reasoning": None}, "locality": None}])
    (case,) = load_dataset("knowedit-wiki-recent").cases
    assert (case.portability, case.locality) == ((), {})
    assert hub.asked == [("zjunlp/KnowEdit", "benchmark/wiki_recent/recent_test.json", "train")]


@pytest.mark.parametrize("in_repository", [True, False])
def test_the_library_itself_gives_the_records_of_a_file(in_repository: bool, tmp_path: Path) -> None:
    """The real library, given a folder instead of a repository, yields what the file holds, mixed fields included."""
    pytest.importorskip("datasets")
    answers: tuple[Any, ...] = ("g", ["g", "h"], [["g", "h"], ["i"]])
    rows = [{**KNOWEDIT, "portability": {"Reasoning": [{"prompt": "p", "ground_truth": given}]}} for given in answers]
    rows.append({**KNOWEDIT, "portability": {"Subject_Aliasing": {"prompt": "p", "ground_truth": "g"}}, "locality": {}})
    file = tmp_path / "recent.json"
    file.write_text(json.dumps(rows), encoding="utf-8")
    hub = HubSource(str(tmp_path), data_files=file.name) if in_repository else HubSource("json", data_files=str(file))
    fetched = fetch_records(replace(DATASETS["knowedit-wiki-recent"], hub=hub))
    cases = [case for record in fetched for case in READERS["knowedit"](record)]
    assert cases == list(load_dataset(file, "knowedit").cases)


def test_a_broken_row_is_named_by_data_set_and_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fetched record that lacks something is refused with the data set's name and its number."""
    installed(monkeypatch, [ROME, {"prompt": "x"}])
    with pytest.raises(DatasetError, match="counterfact, record 2: target_new must be a text"):
        load_dataset("counterfact")


def test_without_the_library_both_ways_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `datasets` is not installed the error names it, and the file to download instead."""
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DatasetError, match=r"pip install 'memedit\[hub\]'.*https://.*--data PATH --format mquake"):
        load_dataset("mquake-cf-3k")


def test_without_a_network_both_ways_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the hub cannot be reached the error gives the reason, and the file to download instead."""
    installed(monkeypatch, ConnectionError("no route"))
    with pytest.raises(DatasetError, match=r"ConnectionError: no route.*network.*--data PATH --format zsre"):
        load_dataset("zsre")


def test_a_data_set_that_is_not_on_the_hub_is_to_be_downloaded() -> None:
    """A data set that can only be given as a file says where its files are."""
    with pytest.raises(DatasetError, match=r"qaedit cannot be fetched by name.*github\.com.*--data PATH"):
        load_dataset("qaedit")


def test_a_name_that_nobody_knows_is_refused() -> None:
    """A source without a format that is no known name is refused with the known names."""
    with pytest.raises(DatasetError, match=r"'facts\.json' is not the name .*counterfact, zsre.*give its format"):
        load_dataset("facts.json")


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_states_format_licence_and_paper(name: str) -> None:
    """Each known data set has a known format, a licence, a paper with its year, and an address."""
    info = DATASETS[name]
    assert info.name == name
    assert info.form in FORMATS
    assert info.licence
    assert any(f" 20{year}, " in info.citation for year in range(17, 26))
    assert info.url.startswith("https://")


def test_every_format_belongs_to_a_data_set() -> None:
    """There is no format without a data set, and the command line offers each of them."""
    assert {info.form for info in DATASETS.values()} == set(FORMATS)
    assert tuple(DataFormat) == FORMATS


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Reasoning", PortabilityKind.ONE_HOP),
        ("portability", PortabilityKind.ONE_HOP),
        ("Subject_Aliasing", PortabilityKind.ALIAS),
        ("subject replace", PortabilityKind.ALIAS),
        ("Logical_Generalization", PortabilityKind.REVERSED),
        ("reversed_relation", PortabilityKind.REVERSED),
        ("Compositionality_I", PortabilityKind.COMPOSITIONAL),
        ("Compositionality_II", PortabilityKind.COMPOSITIONAL),
        ("4-hop", PortabilityKind.COMPOSITIONAL),
        ("", PortabilityKind.OTHER),
    ],
)
def test_names_of_portability_are_brought_to_kinds(name: str, kind: PortabilityKind) -> None:
    """The data sets' names for questions that follow from an edit map to five kinds."""
    assert portability_kind(name) is kind


def test_kinds_of_portability_and_locality_do_not_share_names() -> None:
    """A report can put both kinds side by side without mixing them."""
    assert not set(PortabilityKind) & set(LocalityKind)


def test_the_page_about_data_sets_names_all_of_them() -> None:
    """The documentation lists every data set and format."""
    page = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text(encoding="utf-8")
    assert [name for name in (*DATASETS, *FORMATS) if f"`{name}`" not in page] == []
