"""The scope room: find the edit a query means, if it means one."""

from memedit.scope.classifier import ScopeClassifier
from memedit.scope.encoder import SentenceEncoder
from memedit.scope.report import ScopeReport
from memedit.scope.router import Candidate, Route, Router

__all__ = ["Candidate", "Route", "Router", "ScopeClassifier", "ScopeReport", "SentenceEncoder"]
