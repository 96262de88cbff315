"""`ScopeClassifier`: how probable it is that a query is in scope of an edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoTokenizer, PreTrainedModel

from memedit.checkpoints import shipped
from memedit.edits import Edit
from memedit.errors import CheckpointError
from memedit.memory.encoding import TextEncoder
from memedit.memory.wordings import prompt_key
from memedit.scope.calibration import IDENTITY, Calibration, calibration_by_form
from memedit.scope.encoder import EncoderFiles, SentenceEncoder, find_encoder
from memedit.scope.fitting import FitConfig, fit_network
from memedit.scope.hard_negatives import pairs_from_edits
from memedit.scope.network import Adapter, adapted_network, adapter_of, mean_adapter, trainable_network
from memedit.scope.overlap import Overlap
from memedit.scope.pairing import Pair, PairTokenizer, length_batches
from memedit.scope.report import ScopeReport
from memedit.scope.saved import SavedClassifier, read_config
from memedit.scope.thresholds import LOWEST_THRESHOLD, Form, Threshold, choose_by_form
from memedit.scope.words import symbols_of

UNTRAINED = (
    "this scope classifier is not trained; call fit with your pairs or edits, "
    "or load a trained one with ScopeClassifier.from_pretrained()"
)
INFERENCE_TOKENS = 128
BATCH_PAIRS = 64

_EARLIER = ("before", "kept_of")
"""What of `fit_` tells of other runs: of one whose weights were kept its own settings and outcome tell enough."""

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
        device: Where it runs, as given.
        calibration_: Map from logits, and the words that both texts share, to probabilities; the plain sigmoid of the
            logit before `calibrate`.
        threshold_: The chosen threshold and its evidence; None before `calibrate`.
        fit_: Settings and outcome of the last `fit`, under `before` of those it went on from, and under
            `kept_of` of those whose weights it kept a share of, if these were others.
    """

    def __init__(
        self, encoder: SentenceEncoder | EncoderFiles | str | Path | None = None, *, device: str | None = None
    ) -> None:
        """Prepare an untrained classifier.

        Args:
            encoder: The sentence encoder to build on: its files, a folder or a hub id; or one that is loaded,
                whose weights the classifier then shares. None looks for all-MiniLM-L6-v2 (see
                `memedit.scope.encoder.find_encoder`).
            device: Where it runs; None for the CPU.

        Raises:
            EncoderNotFoundError: The encoder is not found.
        """
        self._loaded = encoder if isinstance(encoder, SentenceEncoder) else None
        files = encoder.files if isinstance(encoder, SentenceEncoder) else encoder
        self.encoder = files if isinstance(files, EncoderFiles) else find_encoder(files)
        self.calibration_: Calibration = IDENTITY
        self.threshold_: Threshold | None = None
        self.fit_: dict[str, Any] = {}
        self.device = device
        self._device = torch.device(device or "cpu")
        self._tokenizer = AutoTokenizer.from_pretrained(str(self.encoder.path), local_files_only=True)
        self._overlap = Overlap(self._tokenizer.get_vocab())
        self._adapter: Adapter | None = None

    @property
    def threshold(self) -> float:
        """Probability from which a query is in scope; one half before `calibrate`.

        Edits worded as questions or as statements may have one of their own (`threshold_for`).
        """
        return self.threshold_.value if self.threshold_ else 0.5

    def threshold_for(self, wordings: Sequence[str]) -> Floats:
        """Probability from which a query is in scope of each edit wording, float64 array (n,)."""
        return self.threshold_.of(wordings) if self.threshold_ else np.full(len(wordings), self.threshold)

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002 - part of scikit-learn's protocol
        """What the classifier was made with, as scikit-learn's `clone` wants it."""
        return {"encoder": self.encoder, "device": self.device}

    def fit(
        self,
        pairs: Sequence[Pair] | Sequence[Edit],
        labels: Sequence[int] | Sequence[bool] | None = None,
        config: FitConfig | None = None,
        *,
        kept: ScopeClassifier | None = None,
        resume_from: Path | None = None,
        progress: bool = False,
    ) -> ScopeClassifier:
        """Train on labelled pairs or on edits, going on from what was trained before.

        Args:
            pairs: (edit wording, query); or edits, from which pairs with hard negatives are made
                (see `memedit.scope.hard_negatives.pairs_from_edits`).
            labels: 1 where the query is in scope of the edit, else 0; None for edits.
            config: Settings; None for the defaults.
            kept: Of whose weights `config.keep` keeps a share, an ancestor's for instance; None for what training
                went on from.
            resume_from: File that keeps the state of a run, see `memedit.scope.fitting`.
            progress: Whether to show a progress bar.

        Returns:
            This classifier, uncalibrated.

        Raises:
            ValueError: There are no pairs, or not as many labels, or rank or alpha are not those of the training
                to go on from or to keep, or `kept` was never trained, or no share of it is to be kept.
        """
        config = config or FitConfig()
        anchor = self._adapter if kept is None else kept._adapter
        if kept is not None and (anchor is None or not config.keep):
            got = "a share of 0" if anchor else "a classifier that was never fitted"
            raise ValueError(f"expected a trained classifier and the share of its weights to keep, got {got}")
        for before in (self._adapter, anchor):
            if before is not None and (before.rank, before.alpha) != (config.rank, config.alpha):
                raise ValueError(
                    f"expected rank {before.rank} and alpha {before.alpha}, those of what was trained before, "
                    f"got {config.rank} and {config.alpha}"
                )
        pairs, labels = self._labelled(pairs, labels, seed=config.seed, progress=progress)
        _check_pairs(pairs, labels)
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(config.seed)
            network = trainable_network(
                self.encoder.path, rank=config.rank, alpha=config.alpha, dropout=config.dropout,
                start=self._adapter,
            ).to(self._device)  # fmt: skip
        tokenizer = PairTokenizer(self._tokenizer, config.max_tokens)
        outcome = fit_network(network, tokenizer, pairs, labels, config, resume_from=resume_from, progress=progress)
        earlier = {"before": self.fit_} if self.fit_ else {}
        if kept is not None:
            earlier["kept_of"] = {name: value for name, value in kept.fit_.items() if name not in _EARLIER}
        self.fit_ = {"pairs": len(pairs), "settings": asdict(config), **outcome, **earlier}
        self.calibration_, self.threshold_ = IDENTITY, None
        adapter = adapter_of(network, rank=config.rank, alpha=config.alpha)
        self._use(mean_adapter(anchor, adapter, config.keep) if anchor and config.keep else adapter)
        return self

    def calibrate(
        self,
        pairs: Sequence[Pair],
        labels: Sequence[int] | Sequence[bool],
        *,
        locality: float = 0.99,
        localities: Mapping[Form, float] | None = None,
        near_misses: Sequence[bool] | None = None,
        prior: float | None = None,
        sample_weight: Sequence[float] | None = None,
        keep_probabilities: bool = False,
    ) -> ScopeClassifier:
        """Learn probabilities and threshold from pairs that `fit` did not see.

        A map from logits to probabilities takes hundreds of pairs to learn; a threshold can be
        moved with fifty. With fewer than `calibration.PAIRS_FOR_A_MAP` pairs of your own, keep
        the probabilities of a classifier that has been calibrated.

        Args:
            pairs: (edit wording, query).
            labels: 1 where the query is in scope of the edit, else 0.
            locality: Share of the near-misses that the threshold must keep out, of those of each form of edit of
                which there are enough (`choose_by_form`).
            localities: By form of edit (`thresholds.FORMS`) those for which it is another.
            near_misses: Which of the pairs labelled 0 look like the edit; None for all of them.
            prior: Share of queries in scope that the probabilities are to be true of, and the lowest threshold, if that
                is below one half; None for that of the pairs.
            sample_weight: For how many pairs of real use each stands, beside others of its label; None for one. The
                probabilities are true of pairs in these proportions; the threshold counts each near-miss once.
            keep_probabilities: Whether to choose the threshold only; one pair of each class
                is enough then, but see `Threshold.locality_low` for what so few can show.

        Returns:
            This classifier.

        Raises:
            CheckpointError: The classifier was not trained.
            ValueError: Fewer than five pairs of a class (one, if probabilities are kept), no
                near-misses, or lengths differ, a weight is not positive, or a prior or weights are stated for
                probabilities that are kept.
        """
        _check_pairs(pairs, labels)
        if keep_probabilities and (prior is not None or sample_weight is not None):
            raise ValueError(
                "expected neither prior nor sample_weight, since the probabilities are to be kept, "
                f"got prior={prior} and {'no' if sample_weight is None else len(sample_weight)} weights"
            )
        chosen = near_misses if near_misses is not None else [True] * len(pairs)
        if len(chosen) != len(pairs):
            raise ValueError(f"expected {len(pairs)} near_misses, got {len(chosen)}")
        logits, overlap = self._read(pairs)
        wordings = [wording for wording, _ in pairs]
        weights = 1.0 if sample_weight is None else sample_weight
        calibration = (
            self.calibration_
            if keep_probabilities
            else calibration_by_form(wordings, logits, labels, overlap=overlap, prior=prior, sample_weight=weights)
        )
        probability = calibration.of(logits, wordings, overlap)
        positive = np.asarray(labels, dtype=bool)
        misses = ~positive & np.asarray(chosen, dtype=bool)
        # At the prior an edit is held as likely as before the query was read: below, the reading speaks against it.
        lowest = min(LOWEST_THRESHOLD, calibration.prior or 1.0)
        threshold = choose_by_form(wordings, probability, positive, misses, locality, localities, lowest)
        self.calibration_, self.threshold_ = calibration, threshold
        return self

    def evaluate(self, pairs: Sequence[Pair], labels: Sequence[int] | Sequence[bool]) -> ScopeReport:
        """How good probabilities and threshold are on pairs that neither was learned from.

        Args:
            pairs: (edit wording, query).
            labels: 1 where the query is in scope of the edit, else 0.

        Raises:
            CheckpointError: The classifier was not trained.
            ValueError: There are no pairs, or not as many labels.
        """
        _check_pairs(pairs, labels)
        stated = self.probability(pairs)
        fired = stated >= self.threshold_for([wording for wording, _ in pairs])
        return ScopeReport.measure(stated, labels, self.threshold, fired=fired)

    def logits(self, pairs: Sequence[Pair]) -> Floats:
        """The network's raw verdict on each pair, of a long wording on the part that fits best: float64 array (n,).

        Raises:
            CheckpointError: The classifier was not trained.
        """
        return self._read(pairs)[0]

    def probability(self, pairs: Sequence[Pair]) -> Floats:
        """How probable it is that each query is in scope of its edit.

        Args:
            pairs: (edit wording, query).

        Returns:
            Calibrated probabilities, float64 array (n,); 1 where the query repeats the wording, 0 where both have
            symbols and none in common (`symbols_of`).

        Raises:
            CheckpointError: The classifier was not trained.
        """
        wordings = [wording for wording, _ in pairs]
        logits, overlap = self._read(pairs)
        found = self.calibration_.of(logits, wordings, overlap)
        for row, (wording, query) in enumerate(pairs):
            if prompt_key(wording) == prompt_key(query):
                found[row] = 1.0
            elif (told := symbols_of(wording)) and (asked := symbols_of(query)) and not told & asked:
                found[row] = 0.0
        return found

    def save_pretrained(self, folder: str | Path) -> None:
        """Write adapter, head, calibration and settings; never the encoder's weights.

        Args:
            folder: Made if it does not exist.

        Raises:
            CheckpointError: The classifier was not trained.
        """
        if self._adapter is None:
            raise CheckpointError(f"{UNTRAINED}: there is nothing to save")
        SavedClassifier(
            self.encoder.id,
            self.encoder.weights_sha256,
            self._adapter,
            self.calibration_,
            self.threshold_,
            self.fit_,
        ).write(Path(folder))

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path | None = None,
        encoder: SentenceEncoder | EncoderFiles | str | Path | None = None,
        *,
        device: str | None = None,
    ) -> ScopeClassifier:
        """Load what `save_pretrained` wrote.

        Args:
            folder: The checkpoint; None for the one shipped with memedit.
            encoder: The sentence encoder it was trained on, see `ScopeClassifier`; None looks for all-MiniLM-L6-v2.
            device: Where it runs; None for the CPU.

        Raises:
            CheckpointError: The checkpoint is missing, incomplete or made for other weights.
            EncoderNotFoundError: The encoder is not found.
        """
        folder = Path(folder) if folder is not None else shipped("scope")
        saved = SavedClassifier.read(folder)
        classifier = cls(encoder, device=device)
        if classifier.encoder.weights_sha256 != saved.encoder_sha256:
            raise CheckpointError(
                f"the scope classifier in {folder} was trained on {saved.encoder_id}, got {classifier.encoder.id}; "
                "give the encoder it was trained on, or train a classifier for this one (`memedit train scope`)"
            )
        try:
            classifier._use(saved.adapter)
        except (KeyError, AttributeError, RuntimeError, ValueError, TypeError) as error:
            raise CheckpointError(f"the scope classifier in {folder} is damaged: {error}") from error
        classifier.calibration_, classifier.threshold_ = saved.calibration, saved.threshold
        classifier.fit_ = dict(saved.fit)
        return classifier

    @classmethod
    def beside(
        cls, encoder: TextEncoder, folder: str | Path | None = None, *, device: str | None = None
    ) -> ScopeClassifier:
        """Load a classifier for a memory: on the memory's encoder if it was trained on that one, else on its own.

        Args:
            encoder: The memory's encoder.
            folder: As for `from_pretrained`.
            device: Where the classifier runs; None for where that encoder does, else for the CPU.

        Raises:
            CheckpointError: As `from_pretrained` raises it.
            EncoderNotFoundError: The classifier was trained on another encoder, which is not found.
        """
        config = read_config(Path(folder) if folder is not None else shipped("scope"))
        trained_on = config.get("encoder", {}).get("weights_sha256")
        if isinstance(encoder, SentenceEncoder) and encoder.files.weights_sha256 == trained_on:
            return cls.from_pretrained(folder, encoder, device=device or encoder.device)
        return cls.from_pretrained(folder, device=device)

    def _labelled(
        self,
        pairs: Sequence[Pair] | Sequence[Edit],
        labels: Sequence[int] | Sequence[bool] | None,
        *,
        seed: int,
        progress: bool,
    ) -> tuple[Sequence[Pair], Sequence[int] | Sequence[bool]]:
        """Pairs and labels as given, or those that edits make."""
        edits = [item for item in pairs if isinstance(item, Edit)]
        if not edits:
            if labels is None:
                raise ValueError("expected a label for each pair, or edits, got neither")
            return cast(Sequence[Pair], pairs), labels
        if len(edits) != len(pairs) or labels is not None:
            raise ValueError("expected edits alone, or pairs with labels, got some of both")
        return pairs_from_edits(edits, SentenceEncoder(self.encoder, self.device), seed=seed, progress=progress)

    def _read(self, pairs: Sequence[Pair]) -> tuple[Floats, Floats]:
        """The network's verdict on each pair (n,), of a long wording on the part that fits best, and overlap (n, 3).

        Each share of that is the greater of the whole wording's and the part's: the name may be told at the beginning
        only, and what a query has of the names of a long text says little.
        """
        if self._adapter is None:
            raise CheckpointError(UNTRAINED)
        tokenizer = PairTokenizer(self._tokenizer, INFERENCE_TOKENS)
        parts_of = tokenizer.in_parts(wording for wording, _ in pairs)
        parts = [(part, query) for wording, query in pairs for part in parts_of[wording]]
        logits = self._logits(tokenizer, parts)
        ends = accumulate((len(parts_of[wording]) for wording, _ in pairs), initial=0)
        best = [start + int(logits[start:end].argmax()) for start, end in pairwise(ends)]
        overlap = self._overlap.of(pairs)
        cut = [row for row, (wording, _) in enumerate(pairs) if len(parts_of[wording]) > 1]
        overlap[cut] = np.maximum(overlap[cut], self._overlap.of([parts[best[row]] for row in cut]))
        return logits[best], overlap

    def _logits(self, tokenizer: PairTokenizer, pairs: Sequence[Pair]) -> Floats:
        encoded = tokenizer(pairs)
        found = np.empty(len(encoded), dtype=np.float64)
        for rows in length_batches([len(pair.ids) for pair in encoded], BATCH_PAIRS):
            batch = tokenizer.collate([encoded[row] for row in rows]).to(self._device)
            # In the precision that it was calibrated in, whatever the caller's model runs in.
            with torch.inference_mode(), torch.autocast(self._device.type, enabled=False):
                found[rows] = self._network(batch).cpu().numpy()
        return found

    def _use(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._network = adapted_network(self.encoder.path, adapter, self._shareable()).to(self._device)

    def _shareable(self) -> PreTrainedModel | None:
        """The loaded encoder's transformer, if it is where the classifier runs, in the precision that it needs."""
        found = self._loaded.transformer if self._loaded else None
        # "cuda" means the current one of them.
        here = torch.empty(0, device=self._device).device
        if found is None or found.dtype != torch.float32 or found.device != here:
            return None
        return found


def _check_pairs(pairs: Sequence[Pair], labels: Sequence[int] | Sequence[bool]) -> None:
    if not pairs or len(pairs) != len(labels):
        raise ValueError(f"expected as many labels as pairs, got {len(labels)} for {len(pairs)}")
