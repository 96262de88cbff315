"""Kill a process that writes to a memory, many times, and count what was lost.

python -m benchmarks.crash --kills 200
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from tests.memory.crashing import kill_often


def main() -> None:
    """Print what happened as JSON; exit code 1 if anything was lost, half done or damaged."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="how many writers to kill with SIGKILL")
    parser.add_argument("--seed", type=int, default=0, help="of the changes and of the moments")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rounds = kill_often(Path(folder) / "edits.db", options.kills, options.seed)
        *_, counts = tqdm(rounds, total=options.kills)
    print(json.dumps(asdict(counts), indent=2))
    if counts.lost or counts.corrupt:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
