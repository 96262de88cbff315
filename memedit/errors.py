"""Every error memedit raises on purpose.

    MemeditError
    ├── InvalidEditError (ValueError)        an edit's field is empty, too long or of the wrong type
    │   └── ContradictionError               (memedit.memory) it contradicts an edit that is to stay
    ├── UnknownEditError (LookupError)       no edit with that id is stored
    ├── MemoryFileError (OSError)            the memory file cannot be used: foreign, locked, newer, read-only
    ├── EncoderMismatchError (ValueError)    vectors of one encoder meet an index of another
    ├── CheckpointError (ValueError)         a checkpoint is missing, incomplete or made for something else
    │   └── EncoderNotFoundError             no sentence encoder could be loaded
    ├── UnsupportedModelError (TypeError)    the wrapped object cannot be edited
    ├── UnsupportedCallError (ValueError)    this combination of generate() arguments has no right answer
    └── DatasetError (ValueError)            a data file does not have the form that was named
        ├── RecordError                      (memedit.transfer) one record of it
        └── BadRowsError                     (memedit.transfer) all its bad rows, with their lines

Each also derives from the built-in class a caller would expect, so `except ValueError` works.
"""

from __future__ import annotations


class MemeditError(Exception):
    """Base class of all errors raised on purpose by memedit."""


class InvalidEditError(MemeditError, ValueError):
    """An edit's field is empty, too long or of the wrong type."""


class UnknownEditError(MemeditError, LookupError):
    """No edit with that id is stored."""


class MemoryFileError(MemeditError, OSError):
    """The memory file cannot be used: it is foreign, locked, of a newer version or read-only."""


class EncoderMismatchError(MemeditError, ValueError):
    """Vectors of one encoder meet an index that was made with another."""


class CheckpointError(MemeditError, ValueError):
    """A checkpoint is missing, incomplete or made for something else."""


class EncoderNotFoundError(CheckpointError):
    """No sentence encoder could be loaded from any of the places that were tried."""


class UnsupportedModelError(MemeditError, TypeError):
    """The wrapped object cannot be edited, for instance because it has no `generate`."""


class UnsupportedCallError(MemeditError, ValueError):
    """This combination of `generate()` arguments has no right answer beside an edit memory."""


class DatasetError(MemeditError, ValueError):
    """A data file does not have the form that was named."""
