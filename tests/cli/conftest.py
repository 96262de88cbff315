"""Running `memedit` in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from memedit.cli import app

Run = Callable[..., Result]
RunJson = Callable[..., Any]


@pytest.fixture
def run() -> Run:
    """Runs a command and returns exit code, stdout and stderr."""

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return invoke


@pytest.fixture
def run_json(run: Run) -> RunJson:
    """Runs a command with --json, which must succeed, and returns what it wrote to stdout."""

    def invoke(*arguments: object) -> Any:
        result = run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return invoke
