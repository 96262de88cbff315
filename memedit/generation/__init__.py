"""One call of `generate`: what was asked, which edit answers which row, and how the answers become one output."""

from memedit.generation.answering import Isolation, answered
from memedit.generation.request import Request
from memedit.generation.routing import route_prompt, route_rows

__all__ = ["Isolation", "Request", "answered", "route_prompt", "route_rows"]
