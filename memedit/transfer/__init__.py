"""Edits in files: import with a check of every row, and export that imports back to an equal memory."""

from memedit.transfer.exporting import export_edits, format_edits, newest_last, write_file
from memedit.transfer.formats import EditFormat
from memedit.transfer.importing import (
    BadRow,
    BadRowsError,
    EditFile,
    ImportReport,
    import_edits,
    read_edits,
    store_edits,
)

__all__ = [
    "BadRow",
    "BadRowsError",
    "EditFile",
    "EditFormat",
    "ImportReport",
    "export_edits",
    "format_edits",
    "import_edits",
    "newest_last",
    "read_edits",
    "store_edits",
    "write_file",
]
