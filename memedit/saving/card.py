"""The model card of a saved edited model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from memedit.edits import Edit
from memedit.saving.layout import SavedConfig

_EDITORS = {
    "base": "the frozen base itself reads the edit",
    "adapter": "the base reads the edit, with a LoRA adapter that is active for these answers only",
    "model": "a separate small model reads the edit",
    "grace": "a codebook changes hidden states of the base",
    "tpatcher": "trained neurons in the last layers of the base",
}
"""How an edit is answered, by the kind of its editor."""


def card(config: SavedConfig, edits: Sequence[Edit]) -> str:
    """The text of `README.md`, with front matter for the hub; no text of an edit is in it."""
    base, scope = config.base, config.scope
    # The hub links what `base_model` names; a folder of somebody's disk is nothing to link.
    name = base.id if base.id and not Path(base.id).is_absolute() and base.id.count("/") <= 1 else None
    front = f"base_model: {name}\n" if name and "/" in name else ""
    kinds = Counter(edit.kind.value for edit in edits)
    counted = ", ".join(f"{number:,} {kind}" for kind, number in sorted(kinds.items())) or "none"
    namespaces = len({edit.namespace for edit in edits})
    settings = {**config.settings, **{f"router {key}": value for key, value in config.router.items()}}
    rows = "\n".join(f"| {key} | {value} |" for key, value in settings.items())
    default = config.editor["default"]
    editors = "; ".join(
        f"`{name}`{' (the default)' if name == default else ''}: {_EDITORS[told['kind']]}"
        for name, told in config.editor["editors"].items()
    )
    classifier = f"the one that ships with memedit {config.memedit}" if scope["shipped"] else "in `scope/`"
    return f"""---
library_name: memedit
{front}tags: [memedit, model-editing]
---

# Edited model

A memory of edits beside the frozen base model {name or base.architecture}. The base's weights are not stored here:
queries that no edit means are answered by the base, token for token.

```python
from memedit import EditedModel

model = EditedModel.from_pretrained("path or hub id of this folder"{"" if name else ", base=…"})
```

| part | |
|---|---|
| base | {base.architecture}, {base.parameters:,} parameters, vocabulary {base.vocabulary:,}, fingerprint `{base.fingerprint}` |
| edits | {len(edits):,} ({counted}) in {namespaces} namespace{"" if namespaces == 1 else "s"}: `edits.db` |
| answered by | {editors} |
| scope classifier | {classifier}, SHA-256 `{scope["sha256"][:12]}` |
| sentence encoder | {config.encoder} |

| setting | value |
|---|---|
{rows}
"""
