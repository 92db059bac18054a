"""What submitting a folder costs: the first time, unchanged, and with one file in 100 changed.

Makes text files of one chunk each (or takes a folder, of which it changes nothing: then a copy is
made), and runs ``ingest submit FOLDER --wait`` as a process of its own for each row, on a state
folder of its own, without services: the command does the work itself. Wall time, with its start.
Prints a Markdown table; at 5,000 files, the default, it also goes into docs/performance.md.

    python benchmarks/incremental.py                      # a few minutes
    python benchmarks/incremental.py --files 200          # a quick look; writes nothing
    python benchmarks/incremental.py FOLDER               # the same with files of yours
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from documents import WORDS
from pages import inserted

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
COMMAND = Path(sysconfig.get_path("scripts"), "ingest")
FILES = 5_000
WORDS_IN_A_FILE = 100
CHANGED = 0.01
SETTLED_SECONDS = 2.5
"""Files that were written just now are read in any case, as their times say nothing yet."""


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--times", type=int, default=3, help="how often each but the first")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="incremental-") as place:
        folder, state = Path(place) / "files", Path(place) / "state"
        if options.folder:
            shutil.copytree(options.folder, folder)
        else:
            write(folder, options.files)
        report = measured(folder, state, options.times)
    print(report)
    if not options.folder and options.files == FILES:
        PAGE.write_text(inserted(PAGE.read_text(), "incremental", report))


def write(folder: Path, count: int) -> None:
    """Make text files of one chunk each, all different."""
    chance = random.Random(0)
    folder.mkdir()
    for number in range(count):
        words = chance.choices(WORDS.split(), k=WORDS_IN_A_FILE)
        (folder / f"{number:05}.txt").write_text(f"File {number}. " + " ".join(words) + ".\n")


def measured(folder: Path, state: Path, times: int) -> str:
    """Submit the folder again and again; return the table."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    time.sleep(SETTLED_SECONDS)
    first, _ = submit(folder, state)
    rows = [row("first time", [first], first, len(files))]
    unchanged = [submit(folder, state) for _ in range(times)]
    rows.append(
        row("unchanged", [seconds for seconds, _ in unchanged], first, max(n for _, n in unchanged))
    )
    some = files[:: round(1 / CHANGED)]
    changed = []
    for _ in range(times):
        for path in some:
            with path.open("a") as file:
                file.write("One more sentence.\n")
        time.sleep(SETTLED_SECONDS)
        changed.append(submit(folder, state))
    rows.append(
        row("one in 100 changed", [seconds for seconds, _ in changed], first, changed[-1][1])
    )
    head = (
        f"| {len(files):,} files | seconds | of the first time | documents worked on |\n"
        "|---|---|---|---|\n"
    )
    return head + "\n".join(rows) + "\n"


def submit(folder: Path, state: Path) -> tuple[float, int]:
    """Submit the folder and wait; return the seconds, and how many documents were worked on."""
    environment = os.environ | {"INGEST_STATE_DIR": str(state), "DO_NOT_TRACK": "1"}
    command = [COMMAND, "submit", folder, "--collection", "incremental", "--wait", "--json"]
    began = time.perf_counter()
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}")
    tasks = json.loads(done.stdout)["tasks"]
    return seconds, sum(task["attempts"] > 0 for task in tasks)


def row(name: str, seconds: Sequence[float], first: float, worked_on: int) -> str:
    """Render one row: the median, and the range if there are several."""
    middle = sorted(seconds)[len(seconds) // 2]
    spread = f" ({min(seconds):.1f} to {max(seconds):.1f})" if len(seconds) > 1 else ""
    return f"| {name} | {middle:.1f}{spread} | {middle / first:.1%} | {worked_on:,} |"


if __name__ == "__main__":
    main()
