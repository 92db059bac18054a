"""A large document stays small: what a stage holds of it must not grow with every stage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LARGE = 6_000_000
"""Bytes: of so many rows come several parts of chunks and vectors."""


def test_memory_grows_by_a_bounded_multiple_of_a_large_table(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ingestion_pipeline_tests.stages.large_run", tmp_path, str(LARGE)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    before_indexing, in_all = map(int, done.stdout.split())
    assert before_indexing < 20 * LARGE  # 12 when this was written
    assert in_all < 35 * LARGE  # 24
