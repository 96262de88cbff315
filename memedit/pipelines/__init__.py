"""`wrap()`, and the pipelines of which it makes edited ones."""

from memedit.pipelines.edited import EditedText2TextGenerationPipeline, EditedTextGenerationPipeline
from memedit.pipelines.text2text import Text2TextGenerationPipeline
from memedit.pipelines.wrapping import wrap

__all__ = [
    "EditedText2TextGenerationPipeline",
    "EditedTextGenerationPipeline",
    "Text2TextGenerationPipeline",
    "wrap",
]
