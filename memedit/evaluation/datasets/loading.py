"""From a file or a name to cases; and NQ-open's questions (Kwiatkowski et al. 2019, CC BY-SA 3.0)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from memedit.errors import DatasetError
from memedit.evaluation.cases import Case, Dataset, Probe
from memedit.evaluation.datasets.hub import fetch_records
from memedit.evaluation.datasets.info import Read
from memedit.evaluation.datasets.registry import BILINGUAL_FORMATS, DATASETS, FORMATS, READERS
from memedit.transfer.records import Record, read_records
from memedit.transfer.table import read_table


def load_dataset(source: str | Path, form: str | None = None, *, languages: tuple[str, str] | None = None) -> Dataset:
    """Read a data set.

    Args:
        source: A file: a JSON list of records, JSON Lines, or a table named `….csv`. Without `form`
            a name of `DATASETS`, which is then fetched by the library `datasets`.
        form: The format of the file, one of `FORMATS`.
        languages: For the formats of several languages, the one of the edits and the one of the
            questions; None for the first two of each record.

    Returns:
        The usable records as cases, in the order of the file, with the number of dropped ones.

    Raises:
        DatasetError: The name or the format is unknown, the file cannot be read or fetched, or a
            record lacks something (the message gives its number, from 1, and the field).
    """
    if form is None:
        if str(source) not in DATASETS:
            raise DatasetError(
                f"{str(source)!r} is not the name of a data set ({', '.join(DATASETS)}); "
                "to read a file give its format as well"
            )
        info = DATASETS[str(source)]
        return _dataset(str(source), fetch_records(info), info.form, languages)
    if form not in READERS:
        raise DatasetError(f"format must be one of {', '.join(FORMATS)}, got {form!r}")
    return _dataset(str(source), _file_records(Path(source)), form, languages)


def load_questions(path: str | Path) -> tuple[Probe, ...]:
    """Read unrelated questions: JSON Lines of {"question", "answer"} as NQ-open has them.

    Raises:
        DatasetError: The file cannot be read, or a record has no question.
    """
    return tuple(Probe(record.text("question"), record.answers("answer"), "nq") for record in read_records(Path(path)))


def _file_records(path: Path) -> Iterator[Record]:
    return read_table(path) if path.suffix.lower() == ".csv" else read_records(path)


def _dataset(source: str, records: Iterator[Record], form: str, languages: tuple[str, str] | None) -> Dataset:
    read = _reader(form, languages)
    cases: list[Case] = []
    dropped: Counter[str] = Counter()
    for record in records:
        found = read(record)
        if isinstance(found, str):
            dropped[found] += 1
        else:
            cases += found
    if not cases:
        reasons = "".join(f"; {count} dropped: {reason}" for reason, count in dropped.items())
        raise DatasetError(f"{source} holds no usable {form} record{reasons}")
    return Dataset(tuple(cases), dict(dropped))


def _reader(form: str, languages: tuple[str, str] | None) -> Read:
    if languages is None:
        return READERS[form]
    if form not in BILINGUAL_FORMATS:
        raise DatasetError(f"languages can be chosen for the formats {', '.join(BILINGUAL_FORMATS)}, not for {form}")
    return partial(READERS[form], languages=languages)
