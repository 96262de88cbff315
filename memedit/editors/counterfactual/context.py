"""How an edit is written down for a model that reads it."""

from __future__ import annotations

from collections.abc import Iterable

FACT_TEMPLATE = "Fact: {prompt} {target}.\n"
"""One line for each edit; the query follows on the next line, unchanged."""


def render_edits(edits: Iterable[tuple[str, str]], template: str = FACT_TEMPLATE) -> str:
    """Write (prompt, target) pairs as the text that is put before a query."""
    return "".join(
        # The fields are replaced, not formatted: braces in a user's text mean nothing.
        template.replace("{prompt}", prompt.strip()).replace("{target}", target.strip())
        for prompt, target in edits
    )
