"""Everything of an edited model but the base's weights, in one folder of JSON, safetensors and the edits."""

from memedit.saving.hub import push
from memedit.saving.layout import Parts
from memedit.saving.reading import load
from memedit.saving.writing import save

__all__ = ["Parts", "load", "push", "save"]
