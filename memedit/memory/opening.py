"""What is checked, and put right, when a memory is opened."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from memedit.errors import EncoderMismatchError, MemoryFileError
from memedit.memory.encoding import TextEncoder, encode_texts
from memedit.memory.store import EditStore, EncoderStamp

logger = logging.getLogger(__name__)

_BATCH_EDITS = 256


def check_encoder(store: EditStore, encoder: TextEncoder) -> None:
    """Refuse to go on if the stored vectors are another encoder's.

    Raises:
        EncoderMismatchError: They are.
        MemoryFileError: There are edits, and nothing tells whose their vectors are.
    """
    stamp = store.encoder
    if stamp is None and store.count():
        raise MemoryFileError(
            "the memory is damaged: it does not tell any more which encoder made its vectors; "
            "`memedit doctor --repair` has them computed again"
        )
    if stamp is not None and stamp != _stamp_of(encoder):
        raise EncoderMismatchError(
            f"the memory's vectors were made with encoder {stamp.id!r} ({stamp.dimension} "
            f"dimensions), but this one is {encoder.id!r} ({encoder.dimension}): open it with "
            "that one, or with reencode=True to compute them again"
        )


def prepare(store: EditStore, encoder: TextEncoder, *, reencode: bool) -> None:
    """Make everything that is derived agree with the journal and with `encoder`.

    A store without edits takes any encoder. Current edits that disagree with the journal are
    rebuilt from it, without vectors (see `complete_vectors`).

    Args:
        store: The store that was just opened.
        encoder: The encoder that is to be used from now on.
        reencode: Whether vectors of another encoder may be replaced.

    Raises:
        EncoderMismatchError: The vectors are another encoder's, and `reencode` is False.
    """
    # Locks the file only if there is something to write: readers need not wait for a writer.
    if store.disagreeing():
        with store.transaction():
            wrong = store.disagreeing()
            store.rebuild(wrong)
        logger.warning("%d edits disagreed with the journal and were rebuilt from it", len(wrong))
    if store.encoder != _stamp_of(encoder):
        with store.transaction():
            if reencode or not store.count():
                store.stamp(_stamp_of(encoder))
    check_encoder(store, encoder)


def complete_vectors(store: EditStore, encoder: TextEncoder, lacking: Sequence[str]) -> None:
    """Compute vectors that are missing or damaged again, of what the journal tells of their edits.

    Args:
        store: The store.
        encoder: The encoder that made the others.
        lacking: Ids of the edits without usable vectors.

    Raises:
        EncoderMismatchError: The vectors are another encoder's.
    """
    for start in range(0, len(lacking), _BATCH_EDITS):
        batch = lacking[start : start + _BATCH_EDITS]
        edits = store.get(batch).values()
        known = encode_texts(encoder, (text for edit in edits for text in edit.wordings))
        with store.transaction():
            check_encoder(store, encoder)
            # What tells how many vectors they need may be as damaged as the vectors.
            store.rebuild(batch)
            store.put_vectors({edit: np.stack([known[text] for text in edit.wordings]) for edit in edits})
    if lacking:
        logger.info("the vectors of %d edits were computed again", len(lacking))


def _stamp_of(encoder: TextEncoder) -> EncoderStamp:
    return EncoderStamp(id=encoder.id, dimension=encoder.dimension)
