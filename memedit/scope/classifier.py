"""`ScopeClassifier`: how probable it is that a query is in scope of an edit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from memedit.checkpoints import shipped
from memedit.errors import CheckpointError
from memedit.memory.wordings import prompt_key
from memedit.scope.calibration import (
    IDENTITY,
    Calibration,
    Threshold,
    choose_threshold,
    fit_calibration,
)
from memedit.scope.encoder import EncoderFiles, find_encoder
from memedit.scope.fitting import FitConfig, fit_network
from memedit.scope.network import Adapter, adapter_of, merged_network, trainable_network
from memedit.scope.pairing import Pair, PairTokenizer, length_batches

FORMAT = "memedit-scope-classifier"
FORMAT_VERSION = 1
INFERENCE_TOKENS = 128
BATCH_PAIRS = 64

Floats = NDArray[np.float64]


class ScopeClassifier:
    """A cross-encoder on a sentence encoder's frozen weights, calibrated.

    The second half of a scope decision (Mitchell et al. 2022, SERAC): retrieval proposes edits,
    this says of each how probable it is that the query means it. Scikit-learn's manners: what
    `fit` and `calibrate` learned carries a trailing underscore.

    A query that repeats the edit's wording (case, spaces and closing punctuation aside) is in
    scope by definition: its probability is 1 whatever the network says.

    Attributes:
        encoder: The encoder whose weights it builds on.
        calibration_: Map from logits to probabilities; the plain sigmoid before `calibrate`.
        threshold_: The chosen threshold and its evidence; None before `calibrate`.
        fit_: Settings and outcome of the last `fit`, for the model card.
    """

    def __init__(self, encoder: EncoderFiles | str | Path | None = None, *, device: str | None = None) -> None:
        """Prepare an untrained classifier.

        Args:
            encoder: The sentence encoder to build on: its files, a folder or a hub id; None
                looks for all-MiniLM-L6-v2 (see `memedit.scope.encoder.find_encoder`).
            device: Where it runs; None for the CPU.

        Raises:
            EncoderNotFoundError: The encoder is not found.
        """
        self.encoder = encoder if isinstance(encoder, EncoderFiles) else find_encoder(encoder)
        self.calibration_: Calibration = IDENTITY
        self.threshold_: Threshold | None = None
        self.fit_: dict[str, Any] = {}
        self._device = torch.device(device or "cpu")
        self._tokenizer = AutoTokenizer.from_pretrained(str(self.encoder.path), local_files_only=True)
        self._adapter: Adapter | None = None

    @property
    def threshold(self) -> float:
        """Probability from which a query is in scope; one half before `calibrate`."""
        return self.threshold_.value if self.threshold_ else 0.5

    def fit(
        self,
        pairs: Sequence[Pair],
        labels: Sequence[int] | Sequence[bool],
        config: FitConfig | None = None,
        *,
        resume_from: Path | None = None,
        progress: bool = False,
    ) -> ScopeClassifier:
        """Train on labelled pairs, going on from what was trained before.

        Args:
            pairs: (edit wording, query).
            labels: 1 where the query is in scope of the edit, else 0.
            config: Settings; None for the defaults.
            resume_from: File that keeps the state of a run, see `memedit.scope.fitting`.
            progress: Whether to show a progress bar.

        Returns:
            This classifier, uncalibrated.

        Raises:
            ValueError: There are no pairs, or not as many labels.
        """
        _check_pairs(pairs, labels)
        config = config or FitConfig()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            network = trainable_network(
                self.encoder.path, rank=config.rank, alpha=config.alpha, dropout=config.dropout,
                start=self._adapter,
            ).to(self._device)  # fmt: skip
        tokenizer = PairTokenizer(self._tokenizer, config.max_tokens)
        outcome = fit_network(network, tokenizer, pairs, labels, config, resume_from=resume_from, progress=progress)
        self.fit_ = {"pairs": len(pairs), "settings": asdict(config), **outcome}
        self.calibration_, self.threshold_ = IDENTITY, None
        self._use(adapter_of(network, rank=config.rank, alpha=config.alpha))
        return self

    def calibrate(
        self,
        pairs: Sequence[Pair],
        labels: Sequence[int] | Sequence[bool],
        *,
        locality: float = 0.99,
        near_misses: Sequence[bool] | None = None,
    ) -> ScopeClassifier:
        """Learn probabilities and threshold from pairs that `fit` did not see.

        Args:
            pairs: (edit wording, query).
            labels: 1 where the query is in scope of the edit, else 0.
            locality: Share of the near-misses that the threshold must keep out.
            near_misses: Which of the pairs labelled 0 look like the edit; None for all of them.

        Raises:
            CheckpointError: The classifier was not trained.
            ValueError: Fewer than five pairs of a class, or lengths differ.
        """
        _check_pairs(pairs, labels)
        chosen = near_misses if near_misses is not None else [True] * len(pairs)
        if len(chosen) != len(pairs):
            raise ValueError(f"expected {len(pairs)} near_misses, got {len(chosen)}")
        logits = self.logits(pairs)
        self.calibration_ = fit_calibration(logits, labels)
        probability = self.calibration_(logits)
        positive = np.asarray(labels, dtype=bool)
        self.threshold_ = choose_threshold(
            probability[~positive & np.asarray(chosen, dtype=bool)], probability[positive], locality
        )
        return self

    def logits(self, pairs: Sequence[Pair]) -> Floats:
        """The network's raw verdict on each pair: float64 array (n,).

        Raises:
            CheckpointError: The classifier was not trained.
        """
        if self._adapter is None:
            raise CheckpointError("this scope classifier is not trained; call fit or from_pretrained")
        tokenizer = PairTokenizer(self._tokenizer, INFERENCE_TOKENS)
        encoded = tokenizer(pairs)
        found = np.empty(len(encoded), dtype=np.float64)
        for rows in length_batches([len(pair.ids) for pair in encoded], BATCH_PAIRS):
            batch = tokenizer.collate([encoded[row] for row in rows]).to(self._device)
            with torch.inference_mode():
                found[rows] = self._network(batch).cpu().numpy()
        return found

    def probability(self, pairs: Sequence[Pair]) -> Floats:
        """How probable it is that each query is in scope of its edit.

        Args:
            pairs: (edit wording, query).

        Returns:
            Calibrated probabilities, float64 array (n,); 1 where the query repeats the wording.

        Raises:
            CheckpointError: The classifier was not trained.
        """
        found = self.calibration_(self.logits(pairs))
        for row, (wording, query) in enumerate(pairs):
            if prompt_key(wording) == prompt_key(query):
                found[row] = 1.0
        return found

    def save_pretrained(self, folder: str | Path) -> None:
        """Write adapter, head, calibration and settings; never the encoder's weights.

        Args:
            folder: Made if it does not exist.

        Raises:
            CheckpointError: The classifier was not trained.
        """
        adapter = self._adapter
        if adapter is None:
            raise CheckpointError("this scope classifier is not trained: there is nothing to save")
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"lora.{name}": tensor for name, tensor in adapter.lora.items()}
        tensors |= {f"head.{name}": tensor for name, tensor in adapter.head.items()}
        save_file(tensors, folder / "adapter.safetensors")
        config = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "encoder": {"id": self.encoder.id, "weights_sha256": self.encoder.weights_sha256},
            "lora": {"rank": adapter.rank, "alpha": adapter.alpha},
            "fit": self.fit_,
        }
        _write_json(folder / "config.json", config)
        threshold = asdict(self.threshold_) if self.threshold_ else None
        calibration = {"calibration": self.calibration_.to_json(), "threshold": threshold}
        _write_json(folder / "calibration.json", calibration)

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path | None = None,
        encoder: EncoderFiles | str | Path | None = None,
        *,
        device: str | None = None,
    ) -> ScopeClassifier:
        """Load what `save_pretrained` wrote.

        Args:
            folder: The checkpoint; None for the one shipped with memedit.
            encoder: The sentence encoder it was trained on; None looks for all-MiniLM-L6-v2.
            device: Where it runs; None for the CPU.

        Raises:
            CheckpointError: The checkpoint is missing, incomplete or made for other weights.
            EncoderNotFoundError: The encoder is not found.
        """
        folder = Path(folder) if folder is not None else shipped("scope")
        config = _read_json(folder / "config.json")
        if config.get("format") != FORMAT or config.get("format_version") != FORMAT_VERSION:
            raise CheckpointError(
                f"expected a {FORMAT} of version {FORMAT_VERSION} in {folder}, "
                f"got {config.get('format')!r} of version {config.get('format_version')!r}"
            )
        classifier = cls(encoder, device=device)
        try:
            expected = config["encoder"]["weights_sha256"]
            if classifier.encoder.weights_sha256 != expected:
                raise CheckpointError(
                    f"the scope classifier in {folder} was trained on {config['encoder']['id']}, "
                    f"got {classifier.encoder.id}"
                )
            tensors = load_file(folder / "adapter.safetensors")
            lora = {k.removeprefix("lora."): t for k, t in tensors.items() if k.startswith("lora.")}
            head = {k.removeprefix("head."): t for k, t in tensors.items() if k.startswith("head.")}
            classifier._use(Adapter(config["lora"]["rank"], config["lora"]["alpha"], lora, head))
            values = _read_json(folder / "calibration.json")
            classifier.calibration_ = Calibration.from_json(values["calibration"])
            threshold = values["threshold"]
            classifier.threshold_ = Threshold(**threshold) if threshold else None
            classifier.fit_ = config["fit"]
        except (KeyError, TypeError, AttributeError, OSError, RuntimeError, ValueError, SafetensorError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"the scope classifier in {folder} is damaged: {error}") from error
        return classifier

    def _use(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._network = merged_network(self.encoder.path, adapter).to(self._device)


def _check_pairs(pairs: Sequence[Pair], labels: Sequence[int] | Sequence[bool]) -> None:
    if not pairs or len(pairs) != len(labels):
        raise ValueError(f"expected as many labels as pairs, got {len(labels)} for {len(pairs)}")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"expected a scope classifier, but {path} does not exist") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"expected an object in {path}, got {type(values).__name__}")
    return values


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
