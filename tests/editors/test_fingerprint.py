from __future__ import annotations

import copy

import torch
from transformers import PreTrainedModel

from memedit.editors.fingerprint import fingerprint


def test_the_precision_of_a_copy_does_not_matter(mini: PreTrainedModel) -> None:
    """The shipped model has one fingerprint in float32 and in bfloat16."""
    assert fingerprint(copy.deepcopy(mini).to(torch.bfloat16)) == fingerprint(mini)


def test_a_trained_copy_is_another_model(mini: PreTrainedModel) -> None:
    """One step of training changes the fingerprint."""
    changed = copy.deepcopy(mini)
    with torch.no_grad():
        for parameter in changed.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.01)
    assert fingerprint(changed) != fingerprint(mini)
