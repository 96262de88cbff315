from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.conftest import Run

COMMANDS = [
    ("demo",),
    ("ask",),
    ("evaluate",),
    ("doctor",),
    ("train", "scope"),
    *(("edits", name) for name in ("add", "add-many", "list", "show", "update", "remove", "undo", "history")),
    ("edits", "export"),
    ("edits", "import"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_and_speaks_json(run: Run, command: tuple[str, ...]) -> None:
    """Every command has a help text that names --json."""
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert "--json" in result.stdout


def test_help_loads_no_model_library() -> None:
    """`memedit --help` answers at once: it imports neither torch nor transformers."""
    code = (
        "import sys\nfrom memedit.cli import main\nsys.argv = ['memedit', '--help']\n"
        "try:\n    main()\nexcept SystemExit as end:\n"
        "    heavy = {'torch', 'transformers', 'faiss', 'sklearn'} & set(sys.modules)\n"
        "    sys.exit(end.code or len(heavy))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_unknown_command_is_a_usage_error(run: Run) -> None:
    """A command that does not exist ends with exit code 2."""
    assert run("frobnicate").exit_code == 2
