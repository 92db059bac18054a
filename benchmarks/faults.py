"""Run the fault suite with the real embedding model and write its figures into the documentation.

The tables go between comments of ``docs/reliability.md``. The cases themselves, which also run
with `make test` (there with a small model), are in ``ingestion_pipeline_tests/faults``.

    python benchmarks/faults.py                      # a quarter of an hour on two cores
    FAULTS_MODEL=fake python benchmarks/faults.py    # half of that
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from pages import inserted

PROJECT = Path(__file__).resolve().parents[1]
SUITE = "ingestion_pipeline_tests/faults"
PAGE = PROJECT / "docs" / "reliability.md"
FAULTS_HEAD = (
    "| fault | tasks | recovered | lost | duplicated | seconds to recover |\n"
    "|---|---|---|---|---|---|\n"
)
MODELS = {"real": "the default one", "fake": "the small one of the tests"}
STOPS_HEAD = "| what was stopped | seconds |\n|---|---|\n"


def main() -> int:
    """Run the suite, write the tables, and return the suite's exit code."""
    model = os.environ.get("FAULTS_MODEL", "real")
    with tempfile.TemporaryDirectory() as folder:
        records = Path(folder) / "records.jsonl"
        records.touch()
        suite = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-m", "not soak", "-n", "0", SUITE],
            cwd=PROJECT,
            env=os.environ | {"FAULTS_MODEL": model, "FAULTS_RECORDS": str(records)},
            check=False,
        )
        lines = records.read_text(encoding="utf-8").splitlines()
    figures = [json.loads(line) for line in lines]
    page = PAGE.read_text(encoding="utf-8")
    faults = fault_table([each for each in figures if "fault" in each])
    page = inserted(page, "faults", f"{faults}\nEmbedding model: {MODELS[model]}.\n")
    page = inserted(page, "stops", stop_table([each for each in figures if "stopped" in each]))
    PAGE.write_text(page, encoding="utf-8")
    return suite.returncode


def fault_table(records: Sequence[dict[str, Any]]) -> str:
    """Render what became of tasks as Markdown."""
    return FAULTS_HEAD + "".join(
        f"| {record['fault']} | {record['tasks']} | {record['recovered']} | {record['lost']} "
        f"| {record['duplicated']} | {_seconds(record['seconds'])} |\n"
        for record in records
    )


def stop_table(stops: Sequence[dict[str, Any]]) -> str:
    """Render how soon work stopped as Markdown, with median and worst."""
    taken = [stop["seconds"] for stop in stops]
    rows = [(stop["stopped"], stop["seconds"]) for stop in stops]
    if taken:
        rows += [("**median**", median(taken)), ("**worst**", max(taken))]
    return STOPS_HEAD + "".join(f"| {what} | {seconds:.1f} |\n" for what, seconds in rows)


def _seconds(value: float | None) -> str:
    return "not in time" if value is None else f"{value:.0f}"


if __name__ == "__main__":
    sys.exit(main())
